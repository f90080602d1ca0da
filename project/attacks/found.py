"""The best iterate of every image so far."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from project.threat_models import Flow


@dataclass
class Iterate:
    """One iterate of the active images, (n, …) each.

    Attributes:
        step: how many updates made it.
        adversarial: (n, 3, H, W), in float.
        flow: (n, 2, H, W) in pixels.
        mask: (n, 1, H, W), or None: everywhere.
        cost: (n,), the flow's unsmoothness: of several successes the least is kept.
        share: (n,), the share of valid elements that it fools: what counts without success.
    """

    step: int
    adversarial: Tensor
    flow: Tensor
    mask: Tensor | None
    cost: Tensor
    share: Tensor


@dataclass
class Found:
    """The best iterate so far of every image of the batch, (N, …) each; cost ∞: no success."""

    images: Tensor
    flow: Tensor
    mask: Tensor | None
    steps: Tensor
    cost: Tensor
    share: Tensor

    @classmethod
    def nothing(cls, images: Tensor) -> Found:
        """Return what is known of images (N, 3, H, W) before the search."""
        return cls(
            images=images.clone(),
            flow=Flow().zeros(images),
            mask=None,
            steps=torch.zeros(len(images), dtype=torch.int64, device=images.device),
            cost=images.new_full((len(images),), float("inf")),
            share=torch.full((len(images),), -1.0, device=images.device),
        )

    def keep(self, rows: Tensor, iterate: Iterate, success: Tensor) -> None:
        """Keep the iterates that succeed; of images without success, those that fool most.

        Args:
            rows: (n,), places of the active images in the batch.
            iterate: of the active images.
            success: (n,) bool, only where the iterate costs less than what is kept.
        """
        hopeless = self.cost[rows] == float("inf")
        chosen = success | (hopeless & (iterate.share >= self.share[rows]))
        self.cost[rows[success]] = iterate.cost[success]
        self.share[rows[chosen]] = iterate.share[chosen]
        self._write(rows[chosen], iterate, chosen)

    def _write(self, rows: Tensor, iterate: Iterate, chosen: Tensor) -> None:
        self.images[rows] = iterate.adversarial[chosen]
        self.flow[rows] = iterate.flow[chosen]
        self.steps[rows] = iterate.step
        if iterate.mask is not None:
            if self.mask is None:
                self.mask = torch.zeros_like(self.images[:, :1])
            self.mask[rows] = iterate.mask[chosen].to(self.mask)

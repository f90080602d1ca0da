"""The best iterate of every image so far."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from project.attacks.rows import replaced
from project.images.warping import smoothness
from project.threat_models import Flow


@dataclass
class Iterate:
    """One iterate of the active images, (n, …) each.

    Attributes:
        step: how many updates made it.
        adversarial: (n, 3, H, W), in float.
        flow: (n, 2, H, W) in pixels, with gradient to the point that it was made from.
        mask: (n, 1, H, W), or None: everywhere.
        share: (n,), the share of valid elements that it fools: what counts without success.
    """

    step: int
    adversarial: Tensor
    flow: Tensor
    mask: Tensor | None
    share: Tensor

    @cached_property
    def cost(self) -> Tensor:
        """The flow's unsmoothness, (n,), with gradient: of several successes the least is kept."""
        return smoothness(self.flow)


class Judged(NamedTuple):
    """Which iterates are to be kept, and which fool the victim in float only; (n,) bool each."""

    success: Tensor
    stuck: Tensor


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

    def keep(self, rows: Tensor, iterate: Iterate, judged: Judged | None) -> None:
        """Keep the iterates that succeed; of images without success, those that fool most.

        Args:
            rows: (n,), places of the active images in the batch, rising.
            iterate: of the active images.
            judged: which succeed, only where they cost less than what is kept; None: none does.
        """
        hopeless = self.cost[rows] == float("inf")
        chosen = hopeless & (iterate.share >= self.share[rows])
        if judged is not None:
            chosen |= judged.success
            self._put("cost", rows, iterate.cost.detach(), judged.success)
        if self.mask is None and iterate.mask is not None:
            self.mask = torch.zeros_like(self.images[:, :1])
        self._put("images", rows, iterate.adversarial, chosen)
        self._put("flow", rows, iterate.flow.detach().clone(), chosen)
        self._put("mask", rows, iterate.mask, chosen)
        self._put("steps", rows, torch.full_like(rows, iterate.step), chosen)
        self._put("share", rows, iterate.share, chosen)

    def _put(self, name: str, rows: Tensor, new: Tensor | None, chosen: Tensor) -> None:
        """Write the chosen ones of new values (n, …), which nobody else may change."""
        kept: Tensor | None = getattr(self, name)
        if kept is None or new is None:
            return
        new = new.to(kept.dtype)
        if len(rows) == len(kept):  # all images, in their order
            setattr(self, name, replaced(kept, new, chosen))
        else:
            kept[rows] = replaced(kept[rows], new, chosen)

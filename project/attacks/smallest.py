"""The smallest perturbation so far of every image."""

from __future__ import annotations

import torch
from torch import Tensor


class Smallest:
    """Of each image the smallest perturbation that reaches a share; else the one that fools most.

    Args:
        images: (N, 3, H, W).
        share: of valid elements to fool, in (0, 1].

    Attributes:
        perturbation: (N, 3, H, W).
        size: (N,); infinite where the share has not been reached.
        steps: (N,) int64, how many updates made each perturbation.
    """

    def __init__(self, images: Tensor, share: float) -> None:
        self.share = share
        self.perturbation = torch.zeros_like(images)
        self.size = images.new_full((len(images),), float("inf"))
        self.steps = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        self._fooled = torch.full((len(images),), -1.0, device=images.device)

    @property
    def reached(self) -> Tensor:
        """Where the share has been reached, (N,) bool."""
        return self.size.isfinite()

    def keep(self, step: int, perturbation: Tensor, size: Tensor, fooled: Tensor) -> None:
        """Keep what is better.

        Args:
            step: how many updates made the perturbation.
            perturbation: (N, 3, H, W).
            size: (N,).
            fooled: (N,), the share of valid elements.
        """
        smaller = (fooled >= self.share) & (size < self.size)
        better = smaller | (~self.reached & (fooled > self._fooled))
        self.perturbation = torch.where(better.view(-1, 1, 1, 1), perturbation, self.perturbation)
        self.size = torch.where(smaller, size, self.size)
        self.steps = torch.where(better, step, self.steps)
        self._fooled = torch.where(better, fooled, self._fooled)

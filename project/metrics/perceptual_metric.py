"""The base class of perceptual metrics: a clean side, computed once, and a comparison with it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Generic, TypeVar

import torch
from torch import Tensor

from project.metrics.sliding_windows import checked_pair, eight_bit, in_parts

Side = TypeVar("Side")


class PerceptualMetric(ABC, Generic[Side]):
    """A named distance or similarity between clean and adversarial images, image by image.

    The part of the computation that depends on the clean images alone is their *side*: a tensor,
    or tensors in tuples or lists, which serves the images of every attack on them.

    Attributes:
        name: column of the rows, for example ``psnr``.
        smallest: least height and width, in pixels, of the images that it can compare.
    """

    name: str
    smallest: int

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; one value per image, (N,) float64.

        Raises:
            ValueError: if the shapes differ, or the images are too small.
        """
        checked_pair(clean, adversarial, self.smallest, self.name)
        pairs = zip(in_parts(eight_bit(clean)), in_parts(eight_bit(adversarial)), strict=True)
        return torch.cat([self.compare(self.prepare(x), y) for x, y in pairs])

    @abstractmethod
    def prepare(self, clean: Tensor) -> Side:
        """Compute the side of clean images, grey levels (N, 3, H, W) int32."""

    @abstractmethod
    def compare(self, side: Side, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W) int32 with a side; (N,) float64."""

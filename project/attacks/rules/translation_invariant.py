"""Translation-invariant smoothing."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.rules.rule import GradientRule, Here
from project.attacks.step import Memory
from project.errors import InputError
from project.separable import along_axes


class TranslationInvariant(GradientRule):
    r"""Smooth the gradient with a Gaussian, as if it were the mean over shifted images.

    $$W * \nabla,\quad W_{ij} \propto \exp\left(-\frac{i^2 + j^2}{2 \sigma^2}\right),
    \quad \sum_{ij} W_{ij} = 1$$, channel by channel, with zeros beyond the border. It belongs
    before the momentum.

    Source: Dong et al., "Evading Defenses to Transferable Adversarial Examples by
    Translation-Invariant Attacks", CVPR 2019, eq. (8) [paper]; a Gaussian that ends at 3 σ [code].

    Args:
        kernel_size: the kernel's side in pixels, odd; 15 as in the paper, 1 changes nothing. It
            may exceed the image's.
        reach: where the kernel ends, in σ, greater than 0; 3 makes σ of 15 pixels 7/3 pixels.
    """

    def __init__(self, kernel_size: int = 15, reach: float = 3.0) -> None:
        if kernel_size < 1 or kernel_size % 2 == 0 or not reach > 0:
            raise InputError(
                "kernel_size must be odd and at least 1, and reach greater than 0, got "
                f"{kernel_size}, {reach}."
            )
        self.kernel_size = kernel_size
        self.reach = reach

    def __call__(self, gradient: Tensor, memory: Memory, here: Here) -> Tensor:
        """Return the smoothed gradient."""
        height, width = gradient.shape[2:]
        return along_axes(gradient, self._band(height, gradient), self._band(width, gradient))

    def _band(self, size: int, like: Tensor) -> Tensor:
        """Return the convolution along one axis as a matrix, (1, size, size)."""
        radius = self.kernel_size // 2
        kernel = self._gaussian(torch.arange(-radius, radius + 1, device=like.device))
        place = torch.arange(size, device=like.device)
        distance = place - place[:, None]
        band = self._gaussian(distance) * (distance.abs() <= radius) / kernel.sum()
        return band[None].to(like)

    def _gaussian(self, distance: Tensor) -> Tensor:
        deviations = distance.double() * (self.reach / max(1, self.kernel_size // 2))
        return torch.exp(-(deviations**2) / 2)

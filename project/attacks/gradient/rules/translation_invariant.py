"""Gradient rule TI-FGSM: translation-invariant smoothing."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.core.errors import InputError
from project.images.separable import along_axes


@dataclass(frozen=True)
class TranslationInvariant(GradientRule):
    r"""Smooth the gradient with a Gaussian, as if it were the mean over shifted images.

    $$W * \nabla,\quad W_{ij} \propto \exp\left(-\frac{i^2 + j^2}{2 \sigma^2}\right),
    \quad \sum_{ij} W_{ij} = 1$$, channel by channel, with zeros beyond the border. It belongs
    before the momentum.

    Source: Dong et al., "Evading Defenses to Transferable Adversarial Examples by
    Translation-Invariant Attacks", CVPR 2019, eq. (8) [paper]; a Gaussian that ends at 3 σ [code].
    """

    kernel_size: int = 15
    """Side of the kernel in pixels, odd; 15 as in the paper, 1 changes nothing. It may exceed the
    image's side."""
    reach: float = 3.0
    """Radius at which the kernel ends, in σ, greater than 0; with 3, a kernel of 15 pixels has
    σ = 7/3 pixels."""

    def __post_init__(self) -> None:
        if self.kernel_size < 1 or self.kernel_size % 2 == 0 or not self.reach > 0:
            raise InputError(
                "kernel_size must be odd and at least 1, and reach greater than 0, got "
                f"{self.kernel_size}, {self.reach}."
            )

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the smoothed gradient."""
        height, width = gradient.shape[2:]
        kind = (self.kernel_size // 2, self.reach, gradient.dtype, gradient.device)
        return along_axes(gradient, _band(height, *kind), _band(width, *kind))


@lru_cache(maxsize=8)
def _band(size: int, radius: int, reach: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the convolution along one axis as a matrix, (1, size, size)."""

    def gaussian(distance: Tensor) -> Tensor:
        deviations = distance.double() * (reach / max(1, radius))
        return torch.exp(-(deviations**2) / 2)

    kernel = gaussian(torch.arange(-radius, radius + 1, device=device))
    place = torch.arange(size, device=device)
    distance = place - place[:, None]
    band = gaussian(distance) * (distance.abs() <= radius) / kernel.sum()
    return band[None].to(dtype)

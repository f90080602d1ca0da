"""Threat model that confines another one to a mask."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from project.threat_models.model import Projection, Pullback, ThreatModel


@dataclass(frozen=True, eq=False)
class Masked(ThreatModel):
    """Another threat model, confined to a mask: pixels outside never change, bit for bit."""

    inner: ThreatModel
    """The threat model inside the mask."""
    mask: Tensor
    """(N, 1, H, W) in [0, 1], 1 inside, one mask for each image."""

    def zeros(self, images: Tensor) -> Tensor:
        """Return the inner model's zero."""
        return self.inner.zeros(images)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the inner model and cut to the mask."""
        return self.inner.noise(images, index, *key) * self.mask

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip as the inner model does."""
        return self.inner.within_range(images, perturbation)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Apply the part of the perturbation inside the mask."""
        return self.inner.apply(images, perturbation * self.mask)

    def perturb_and_pullback(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Apply the part inside the mask; the gradient is masked likewise."""
        adversarial, pull_back = self.inner.perturb_and_pullback(images, perturbation * self.mask)
        return adversarial, lambda gradient: pull_back(gradient) * self.mask

    def projection(self, images: Tensor) -> Projection:
        """Project as the inner model does."""
        return self.inner.projection(images)

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Ascend inside the mask."""
        return self.inner.ascent_(gradient.mul_(self.mask))

    def step_value(self, images: Tensor) -> float:
        """Return the inner model's value."""
        return self.inner.step_value(images)

    def flow(self, perturbation: Tensor) -> Tensor | None:
        """Return the displacement inside the mask."""
        return self.inner.flow(perturbation * self.mask)

    def scaled(self, factor: float) -> Self:
        """Return the scaled inner model inside the same mask."""
        return replace(self, inner=self.inner.scaled(factor))

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the size of the part inside the mask."""
        return self.inner.size(perturbation * self.mask)

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round as the inner model does."""
        return self.inner.round(images, adversarial)

"""Threat model of flow and noise at once: pixels move a little, and change a little."""

from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from project.core import randomness
from project.images.eight_bit import clip
from project.images.warping import warp
from project.threat_models.flow import Flow
from project.threat_models.model import Projection, ThreatModel
from project.threat_models.noise import Linf


@dataclass(frozen=True)
class FlowAndNoise(ThreatModel):
    r"""Images whose pixels move by at most ξ, and then change by at most ε.

    $$\mathrm{clip}(x(u + \xi p_{1:2}(u)) + \epsilon p_{3:5}(u)),\quad \|p\|_\infty \le 1$$.

    Perturbations p are (N, 5, H, W) in parts of the two budgets: a displacement (dx, dy), then
    noise in R, G and B. So a step has one size for both, and the gradient says what a whole budget
    would do, by which either can be compared with the other.

    Raises:
        InputError: if a budget is none; see :class:`Flow` and :class:`Linf`.
    """

    max_shift: float
    """Budget ξ, the largest displacement along an axis in pixels."""
    eps: float
    """Budget ε of each value, in units of the [0, 1] range."""

    def __post_init__(self) -> None:
        Flow(self.max_shift)
        Linf(self.eps)

    def zeros(self, images: Tensor) -> Tensor:
        """Return neither flow nor noise, (N, 5, H, W)."""
        return images.new_zeros(len(images), 5, *images.shape[2:])

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from U(-1, 1)."""
        drawn = randomness.uniform((5, *images.shape[2:]), index, *key, low=-1.0)
        return drawn.to(images, non_blocking=True)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the images along the flow, and add the noise."""
        return clip(warp(images, self.flow(perturbation)) + self.eps * perturbation[:, 2:])

    def projection(self, images: Tensor) -> Projection:
        """Clip every value to [-1, 1]."""
        return lambda perturbation: perturbation.clamp_(-1, 1)

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Take the sign."""
        return gradient.sign_()

    def flow(self, perturbation: Tensor) -> Tensor:
        """Return the displacement, (N, 2, H, W) in pixels."""
        return self.max_shift * perturbation[:, :2]

    def scaled(self, factor: float) -> Self:
        """Return the same with ``factor`` times both budgets."""
        return replace(self, max_shift=factor * self.max_shift, eps=factor * self.eps)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the largest part of a budget that is used."""
        return perturbation.flatten(1).abs().amax(1)

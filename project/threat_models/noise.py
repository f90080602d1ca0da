"""Threat models of additive noise: L∞ and L2 balls."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from project.core import randomness
from project.core.choices import choose
from project.core.errors import InputError
from project.core.per_image import per_image
from project.images.eight_bit import clip, from_levels_, to_8bit
from project.threat_models.model import (
    Iterate,
    Projection,
    Pullback,
    ThreatModel,
    require_positive,
)

Norm = Literal["linf", "l2"]

# eps · 255 and x · 255 may be off an integer by float rounding, which ceil and floor would turn
# into a whole level; this tolerance, as a part of 1/255, is far below one level.
_LATTICE_TOLERANCE = 1e-3


class Noise(ThreatModel):
    """Perturbations that are added to the images, each value on its own."""

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip the perturbed images to [0, 1]."""
        return (images + perturbation).clamp_(0, 1).sub_(images)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Add the noise."""
        return clip(images + perturbation)

    def perturb_and_pullback(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Add the noise; the pullback is the identity.

        There is nothing to clip: noise inside the range is at least −x and at most 1 − x, rounded.
        Rounding is monotonic, so x + p is at least x − x = 0, and at most what x + (1 − x) is
        rounded to, which is 1.
        """
        return images + perturbation.detach(), _unchanged


@dataclass(frozen=True)
class Linf(Noise):
    r"""Noise of at most ``eps`` in every value: $$\|\delta\|_\infty \le \epsilon$$.

    Raises:
        InputError: if ``eps`` is not greater than 0, or is greater than 1.
    """

    eps: float
    """Budget ε of each value, in units of the [0, 1] range."""

    def __post_init__(self) -> None:
        if self.eps > 1:
            raise InputError(
                f"an L∞ budget is a part of the range [0, 1], got {self.eps:g}. For grey "
                f"levels give {self.eps:g}/255."
            )
        require_positive(self.eps)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from U(-eps, eps) in every value."""
        noise = randomness.uniform(images.shape[1:], index, *key, low=-self.eps, high=self.eps)
        return noise.to(images, non_blocking=True)

    def projection(self, images: Tensor) -> Projection:
        """Clip to the ball and to the range of an image; their intersection is one box."""
        low, high = (-images).clamp_(min=-self.eps), (1 - images).clamp_(max=self.eps)
        return lambda perturbation: perturbation.clamp_(low, high)

    def iterate_from(self, images: Tensor, start: Tensor) -> Iterate:
        """Return an iterate that stores the perturbed images."""
        # Both constraints are bounds of each value, so one clamp of the images is the projection.
        low, high = (images - self.eps).clamp_(min=0), (images + self.eps).clamp_(max=1)
        return BoxIterate(images, low, high, start.add_(images).clamp_(low, high))

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Take the sign."""
        return gradient.sign_()

    def scaled(self, factor: float) -> "Linf":
        """Return the ball of ``factor`` times the radius."""
        return Linf(factor * self.eps)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the largest absolute value."""
        return perturbation.flatten(1).abs().amax(1)

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round to the nearest 8-bit value inside the ball."""
        clean, reach = images * 255, self.eps * 255 + _LATTICE_TOLERANCE
        # Rounding to the nearest level may leave the ball; the bounds are the outermost levels in
        # it, ceil and floor of the ball's ends, so clamping to them cannot.
        low, high = (clean - reach).ceil_(), clean.add_(reach).floor_()
        level = (adversarial * 255).round_().clamp_(low, high)
        if 2 * self.eps * 255 < 1:  # then a ball may hold no 8-bit value at all: keep the clean one
            level = torch.where(low > high, (images * 255).round_(), level)
        return from_levels_(level)


class BoxIterate(Iterate):
    """The iterate for noise with bounds of each value, which stores the perturbed images.

    Storing images instead of noise saves the addition before each forward pass: the victim sees
    the stored tensor itself.

    Args:
        images: (N, 3, H, W), the clean images.
        low: the smallest values allowed, of the same shape.
        high: the greatest values allowed, of the same shape.
        found: the perturbed images, between them; overwritten by the first step.
    """

    def __init__(self, images: Tensor, low: Tensor, high: Tensor, found: Tensor) -> None:
        self.images = images
        self.low = low
        self.high = high
        self._found = found

    @property
    def perturbation(self) -> Tensor:
        """The perturbed images less the clean ones, a new tensor."""
        return self._found - self.images

    def perturbed(self) -> Tensor:
        """Return the stored images."""
        return self._found

    def perturb_and_pullback(self) -> tuple[Tensor, Pullback]:
        """Return the stored images; the pullback of added noise is the identity."""
        # Shares memory with the iterate: the gradient is taken before the step overwrites it.
        return self._found.detach(), _unchanged

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step and clip."""
        self._found.addcmul_(direction, length).clamp_(self.low, self.high)


@dataclass(frozen=True)
class L2(Noise):
    r"""Noise of at most ``eps`` in Euclidean norm: $$\|\delta\|_2 \le \epsilon$$."""

    eps: float
    """The budget over all values of one image, in units of the [0, 1] range."""

    def __post_init__(self) -> None:
        require_positive(self.eps)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw uniformly from the ball."""
        direction = self.ascent_(randomness.normal(images.shape[1:], index, *key, "direction"))
        radius = randomness.uniform((), index, *key, "radius") ** (1 / images[0].numel())
        noise = direction.mul_(per_image(radius, direction))
        return noise.to(images, non_blocking=True) * self.eps

    def projection(self, images: Tensor) -> Projection:
        """Shrink into the ball, then clip to the range of an image.

        Clipping moves values towards 0 only, so it cannot leave the ball again.
        """
        low, high = -images, 1 - images

        def projected(perturbation: Tensor) -> Tensor:
            shrink = (self.eps / self.size(perturbation).clamp(min=1e-12)).clamp(max=1)
            return perturbation.mul_(per_image(shrink, perturbation)).clamp_(low, high)

        return projected

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Divide by the norm (0 stays 0)."""
        largest = gradient.flatten(1).abs().amax(1).clamp(min=torch.finfo(gradient.dtype).tiny)
        # Squares of tiny values underflow to 0. Divided by the largest value first, a gradient has
        # a norm of at least 1, unless it is 0 everywhere.
        scaled = gradient.div_(per_image(largest, gradient))
        return scaled.div_(per_image(self.size(scaled).clamp(min=1), gradient))

    def step_value(self, images: Tensor) -> float:
        """Return the root mean square of an image's values in a vector of norm 1."""
        return float(images[0].numel() ** -0.5)

    def scaled(self, factor: float) -> "L2":
        """Return the ball of ``factor`` times the radius."""
        return L2(factor * self.eps)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the Euclidean norm."""
        norm: Tensor = torch.linalg.vector_norm(perturbation.flatten(1), dim=1)
        return norm

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round to the nearest 8-bit image, of a shrunken perturbation where that is too large.

        Rounding can lengthen a perturbation. The largest factor in [0, 1] whose rounded
        perturbation fits is found by bisection; factor 0 always fits for 8-bit clean images.
        """
        perturbation = adversarial - images
        low = images.new_zeros(len(images))
        # Factor 1 is tried first, so that a perturbation which fits is not shrunk at all. low is
        # always a factor that fits; torch.where keeps the host from waiting for the device.
        high = tried = images.new_ones(len(images))
        for _ in range(12):
            rounded = to_8bit(images + perturbation * per_image(tried, images))
            inside = self.size(rounded - images) <= self.eps * (1 + 1e-6)  # the norm is rounded too
            low, high = torch.where(inside, tried, low), torch.where(inside, high, tried)
            tried = (low + high) / 2
        return to_8bit(images + perturbation * per_image(low, images))


def norm_ball(norm: Norm, eps: float) -> ThreatModel:
    """Return the ball of a norm.

    Args:
        norm: ``linf`` or ``l2``.
        eps: its radius, in units of the [0, 1] range.
    """
    return choose("norm", {"linf": Linf, "l2": L2}, norm)(eps)


def _unchanged(gradient: Tensor) -> Tensor:
    return gradient

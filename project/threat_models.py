"""What a perturbation is, how it meets an image, and which ones are allowed.

One gradient loop serves every threat model: noise in a ball, a flow field of the image or of its
colours, any of them inside a mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from project import randomness
from project.clipping import clip
from project.colour import chroma, chroma_to_rgb
from project.errors import InputError
from project.quantise import from_levels, to_8bit
from project.warping import warp

Norm = Literal["linf", "l2"]
Pullback = Callable[[Tensor], Tensor]
"""From the gradient with respect to perturbed images to that with respect to the perturbation."""

# Lattice bounds may be off by float rounding; this part of 1/255 is far below one 8-bit step.
_LATTICE_TOLERANCE = 1e-3


class ThreatModel(ABC):
    """The perturbations an attacker may apply; every method works image by image."""

    def zeros(self, images: Tensor) -> Tensor:
        """Return the perturbation that changes nothing."""
        return torch.zeros_like(images)

    @abstractmethod
    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the budget, image by image, keyed by (key, sample index); may leave [0, 1].

        Returns:
            A new tensor, as of :meth:`ascent`, so that a loop may go on in its place.
        """

    def random(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw an allowed perturbation for each image, keyed by (key, sample index)."""
        return self.project_(images, self.noise(images, index, *key))

    @abstractmethod
    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]."""

    def meet(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Return what ``apply`` does, detached, and how a gradient gets back from there.

        Args:
            images: (N, 3, H, W).
            perturbation: inside the range of an image, as ``project``, ``random`` and
                ``within_range`` leave it; there noise is never cut.
        """
        with torch.enable_grad():
            leaf = perturbation.detach().requires_grad_()
            adversarial = self.apply(images, leaf)

        def pull_back(gradient: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(adversarial, leaf, gradient)
            return pulled

        return adversarial.detach(), pull_back

    def project(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Return an allowed perturbation close to the given one."""
        return self.project_(images, perturbation.clone())

    @abstractmethod
    def project_(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Project in place: a loop's time is that of its passes over memory, and of new memory."""

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Cut off what would leave [0, 1], whatever the budget; a flow never does."""
        return perturbation

    @abstractmethod
    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of unit ``size``, as a new tensor."""

    def kept(self, rows: Tensor) -> ThreatModel:
        """Return the threat model of some images only, by their places or a mask (N,)."""
        return self

    def step_value(self, images: Tensor) -> float:
        """Return how much each value changes on average in a step of unit size."""
        return 1.0

    @abstractmethod
    def size(self, perturbation: Tensor) -> Tensor:
        """Return each perturbation's size, (N,)."""

    @abstractmethod
    def scaled(self, factor: float) -> ThreatModel:
        """Return the same kind of threat model with ``factor`` times the budget."""

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round perturbed images to 8 bits without leaving the threat model.

        Args:
            images: (N, 3, H, W), the clean images; a bound on pixel values can only be kept
                where they are 8-bit images themselves.
            adversarial: of the same shape.

        Returns:
            The same shape, every value k/255.
        """
        return to_8bit(adversarial)


class Noise(ThreatModel):
    """Perturbations that are added to the images, each value on its own."""

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip the perturbed images to [0, 1]."""
        return (images + perturbation).clamp_(0, 1).sub_(images)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Add the noise."""
        return clip(images + perturbation)

    def meet(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Add the noise; the gradient stays as it is.

        There is nothing to clip: noise p inside the range is c − x, rounded, of a c in [0, 1], or
        less of it. Rounding is monotonic, so x + p is at least x − x = 0, and at most what
        x + (1 − x) is rounded to, which is 1.
        """
        return images + perturbation.detach(), _unchanged


class Linf(Noise):
    r"""Noise of at most ``eps`` in every value: $$\|\delta\|_\infty \le \epsilon$$.

    Args:
        eps: the budget, in units of the [0, 1] range.
    """

    def __init__(self, eps: float) -> None:
        self.eps = _positive(eps)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from U(-eps, eps) in every value."""
        noise = randomness.uniform(images.shape[1:], index, *key).to(images, non_blocking=True)
        return noise.mul_(2).sub_(1).mul_(self.eps)

    def project_(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip to the ball, then to the range of an image."""
        return perturbation.clamp_(-self.eps, self.eps).add_(images).clamp_(0, 1).sub_(images)

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the gradient's sign."""
        return gradient.sign()

    def scaled(self, factor: float) -> Linf:
        """Return the ball of ``factor`` times the radius."""
        return Linf(factor * self.eps)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the largest absolute value."""
        return perturbation.flatten(1).abs().amax(1)

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round to the nearest 8-bit value inside the ball."""
        low = (images - self.eps).mul_(255).sub_(_LATTICE_TOLERANCE).ceil_()
        high = (images + self.eps).mul_(255).add_(_LATTICE_TOLERANCE).floor_()
        level = (adversarial * 255).round_().clamp_(low, high)
        if 2 * self.eps * 255 < 1:  # then a ball may hold no 8-bit value at all: keep the clean one
            level = torch.where(low > high, (images * 255).round_(), level)
        return from_levels(level.clamp_(0, 255))


class L2(Noise):
    r"""Noise of at most ``eps`` in Euclidean norm: $$\|\delta\|_2 \le \epsilon$$.

    Args:
        eps: the budget over all values of one image, in units of the [0, 1] range.
    """

    def __init__(self, eps: float) -> None:
        self.eps = _positive(eps)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw uniformly from the ball."""
        direction = self.ascent(randomness.normal(images.shape[1:], index, *key, "direction"))
        radius = randomness.uniform((), index, *key, "radius") ** (1 / images[0].numel())
        noise = direction.mul_(_spread(radius, direction))
        return noise.to(images, non_blocking=True) * self.eps

    def project_(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Shrink into the ball, then clip to the range of an image (which shrinks it further)."""
        shrink = (self.eps / self.size(perturbation).clamp(min=1e-12)).clamp(max=1)
        return perturbation.mul_(_spread(shrink, images)).add_(images).clamp_(0, 1).sub_(images)

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the gradient divided by its norm (0 stays 0)."""
        largest = gradient.flatten(1).abs().amax(1).clamp(min=torch.finfo(gradient.dtype).tiny)
        # Squares of tiny values would vanish; of these, the norm is at least 1, or 0.
        scaled = gradient / _spread(largest, gradient)
        return scaled.div_(_spread(self.size(scaled).clamp(min=1), gradient))

    def step_value(self, images: Tensor) -> float:
        """Return the root mean square of an image's values in a vector of norm 1."""
        return float(images[0].numel() ** -0.5)

    def scaled(self, factor: float) -> L2:
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
        high = tried = images.new_ones(len(images))
        for _ in range(12):
            rounded = to_8bit(images + perturbation * _spread(tried, images))
            inside = self.size(rounded - images) <= self.eps * (1 + 1e-6)
            low, high = torch.where(inside, tried, low), torch.where(inside, high, tried)
            tried = (low + high) / 2
        return to_8bit(images + perturbation * _spread(low, images))


class Flow(ThreatModel):
    r"""A displacement of at most ``bound`` pixels along each axis: $$\|f\|_\infty \le \xi$$.

    Args:
        bound: the budget in pixels; ``inf`` is no budget.
    """

    def __init__(self, bound: float = float("inf")) -> None:
        self.bound = _positive(bound)

    def zeros(self, images: Tensor) -> Tensor:
        """Return the identity flow, (N, 2, H, W)."""
        return images.new_zeros(len(images), 2, *images.shape[2:])

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from U(-bound, bound); from U(-1, 1) where there is no bound."""
        bound = self.bound if self.bound < float("inf") else 1.0
        draw = randomness.uniform((2, *images.shape[2:]), index, *key)
        return draw.mul_(2).sub_(1).mul_(bound).to(images, non_blocking=True)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the images along the flow."""
        return warp(images, perturbation)

    def project_(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip every displacement."""
        return perturbation.clamp_(-self.bound, self.bound)

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the gradient's sign."""
        return gradient.sign()

    def scaled(self, factor: float) -> Flow:
        """Return the same kind of flow with ``factor`` times the bound."""
        return type(self)(factor * self.bound)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the largest displacement along an axis, in pixels."""
        return perturbation.flatten(1).abs().amax(1)


class ChromaFlow(Flow):
    """A displacement of the colours only: U and V move along one flow, the luma Y stays.

    What the moved chroma differs by is added to the image, so that no flow is the identity, bit
    for bit. Luma changes only where the sum leaves [0, 1] and is cut.

    Source: Aydin et al., "Imperceptible Adversarial Examples by Spatial Chroma-Shift", ADVM 2021,
    section 3 [paper].
    """

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the images' chroma along the flow."""
        still = chroma(images)
        return clip(images + chroma_to_rgb(warp(still, perturbation) - still))


class Masked(ThreatModel):
    """Another threat model inside a mask only: pixels outside never change, bit for bit.

    Args:
        inner: the threat model inside the mask.
        mask: (N, 1, H, W) in [0, 1], 1 inside, one mask for each image.
    """

    def __init__(self, inner: ThreatModel, mask: Tensor) -> None:
        self.inner = inner
        self.mask = mask

    def zeros(self, images: Tensor) -> Tensor:
        """Return the inner model's zero."""
        return self.inner.zeros(images)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the inner model and cut to the mask."""
        return self.inner.noise(images, index, *key) * self.mask

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Cut off as the inner model does."""
        return self.inner.within_range(images, perturbation)

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Apply the part of the perturbation inside the mask."""
        return self.inner.apply(images, perturbation * self.mask)

    def meet(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Apply the part inside the mask, which cuts the gradient likewise."""
        adversarial, pull_back = self.inner.meet(images, perturbation * self.mask)
        return adversarial, lambda gradient: pull_back(gradient) * self.mask

    def project_(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Project as the inner model does."""
        return self.inner.project_(images, perturbation)

    def ascent(self, gradient: Tensor) -> Tensor:
        """Ascend inside the mask."""
        return self.inner.ascent(gradient * self.mask)

    def kept(self, rows: Tensor) -> Masked:
        """Return the masks of some images only."""
        return Masked(self.inner.kept(rows), self.mask[rows])

    def step_value(self, images: Tensor) -> float:
        """Return what the inner model does."""
        return self.inner.step_value(images)

    def scaled(self, factor: float) -> Masked:
        """Return the scaled inner model inside the same mask."""
        return Masked(self.inner.scaled(factor), self.mask)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the size of the part inside the mask."""
        return self.inner.size(perturbation * self.mask)

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round as the inner model does."""
        return self.inner.round(images, adversarial)


def norm_ball(norm: Norm, eps: float) -> ThreatModel:
    """Return the ball of a norm.

    Args:
        norm: ``linf`` or ``l2``.
        eps: its radius, in units of the [0, 1] range.
    """
    balls = {"linf": Linf, "l2": L2}
    if norm not in balls:
        raise InputError(f"norm must be one of {', '.join(balls)}, got {norm!r}.")
    return balls[norm](eps)


def _positive(budget: float) -> float:
    if not budget > 0:
        raise InputError(f"a budget must be greater than 0, got {budget}.")
    return budget


def _unchanged(gradient: Tensor) -> Tensor:
    return gradient


def _spread(factors: Tensor, like: Tensor) -> Tensor:
    return factors.view(-1, *[1] * (like.ndim - 1))

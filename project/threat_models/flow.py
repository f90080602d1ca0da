"""Threat models of flow: bounded displacements of an image, or of its colours alone."""

from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor

from project.core import randomness
from project.core.errors import InputError
from project.images.blur import gaussian_blur
from project.images.colour import chroma, chroma_to_rgb
from project.images.eight_bit import clip
from project.images.warping import warp
from project.threat_models.model import Projection, ThreatModel, require_positive


@dataclass(frozen=True)
class Flow(ThreatModel):
    r"""A displacement of at most ``bound`` pixels along each axis: $$\|f\|_\infty \le \xi$$."""

    bound: float = float("inf")
    """Budget ξ, the largest displacement along an axis in pixels; ``inf`` is no budget."""
    smooth: float = 0.0
    """σ in pixels of the Gaussian over which directions of ascent are smoothed, so that neighbours
    move alike; 0 lets each pixel move on its own."""

    def __post_init__(self) -> None:
        require_positive(self.bound)
        if not 0 <= self.smooth < float("inf"):
            raise InputError(f"smooth must be a finite number of pixels, got {self.smooth}.")

    def zeros(self, images: Tensor) -> Tensor:
        """Return the identity flow, (N, 2, H, W)."""
        return images.new_zeros(len(images), 2, *images.shape[2:])

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from U(-bound, bound), smoothed to that size; U(-1, 1) where there is no bound."""
        bound = self.bound if self.bound < float("inf") else 1.0
        flow = randomness.uniform((2, *images.shape[2:]), index, *key, low=-bound, high=bound)
        flow = flow.to(images, non_blocking=True)
        return bound * self.ascent_(flow) if self.smooth else flow

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the images along the flow."""
        return warp(images, perturbation)

    def projection(self, images: Tensor) -> Projection:
        """Clip every displacement."""
        return lambda perturbation: perturbation.clamp_(-self.bound, self.bound)

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Take the sign, or smooth and divide by the largest value."""
        if not self.smooth:
            return gradient.sign_()
        # Image by image: convolutions round differently in batches of another size.
        blurred = torch.cat([gaussian_blur(one[None], self.smooth) for one in gradient])
        largest = blurred.abs().amax((1, 2, 3), keepdim=True)
        return blurred.div_(largest.clamp_(min=torch.finfo(blurred.dtype).tiny))

    def flow(self, perturbation: Tensor) -> Tensor:
        """Return it as it is."""
        return perturbation

    def scaled(self, factor: float) -> Self:
        """Return the same kind of flow with ``factor`` times the bound."""
        return replace(self, bound=factor * self.bound)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the largest displacement along an axis, in pixels."""
        return perturbation.flatten(1).abs().amax(1)


@dataclass(frozen=True)
class ChromaFlow(Flow):
    """A displacement of the colours only: U and V move along one flow, the luma Y does not move.

    The change of the chroma is added to the image, so that zero flow is the identity, bit for bit.
    Luma changes only where the sum exceeds [0, 1] and is clipped.

    Source: Aydin et al., "Imperceptible Adversarial Examples by Spatial Chroma-Shift", ADVM 2021,
    section 3 [paper].
    """

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the images' chroma along the flow."""
        # The image's own RGB stays as it is and only a difference is added: converting all of it to
        # YUV and back would round, and zero flow would not be the identity.
        still = chroma(images)
        return clip(images + chroma_to_rgb(warp(still, perturbation) - still))

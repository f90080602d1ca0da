"""The interface of saliency providers, and the checks of their maps."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from project.core.errors import InputError
from project.core.fields import CheckedFields
from project.core.samples import Samples
from project.saliency.cache import KEPT

SaliencyFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scene:
    """The victim, targets and sample ids of a batch, for providers that need them.

    Attributes:
        victim: the (frozen) victim under attack.
        target: (N,) or (N, H, W).
        index: (N,) int64 on the CPU, the samples' stable ids.
    """

    victim: nn.Module
    target: Tensor
    index: Tensor


class Saliency(CheckedFields, ABC):
    """Base class of providers of saliency maps.

    Any callable from images to maps may take its place; a provider that needs more than the images
    overrides ``maps`` or ``attach``.

    Attributes:
        kept: whether maps are cached (:mod:`project.saliency.cache`): for providers whose map
            depends on its image alone, bit for bit, and costs more than reading a file.
    """

    kept: ClassVar[bool] = False

    def __call__(self, images: Tensor) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images (N, 3, H, W) in [0, 1]."""
        raise TypeError(
            f"{type(self).__name__} needs to know more than the images; give it to an attack."
        )

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images whose victim, targets and ids are known."""
        return self(images)

    def attach(self, samples: Samples) -> None:
        """Remember the data set, for providers that look samples up."""


class SceneSaliency(Saliency):
    """Base class of providers that need the victim, the targets or the sample ids too."""

    @abstractmethod
    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1]."""


def saliency_maps(provider: Saliency | SaliencyFunction, images: Tensor, scene: Scene) -> Tensor:
    """Return the maps of a provider, or of any callable, after a check of shape and range.

    Returns:
        (N, 1, H, W) in [0, 1], detached.

    Raises:
        ValueError: if the maps are of another shape or range.
    """
    if isinstance(provider, Saliency) and provider.kept:
        maps = KEPT.maps(provider, images)
    elif isinstance(provider, Saliency):
        maps = provider.maps(images, scene).detach()
    else:
        maps = provider(images).detach()
    wanted = (len(images), 1, *images.shape[2:])
    if maps.shape != wanted:
        raise InputError(
            f"a saliency provider must return (N, 1, H, W) = {wanted}, got {tuple(maps.shape)}."
        )
    low, high = maps.amin().item(), maps.amax().item()
    if math.isnan(low):
        broken = int(maps.isnan().flatten(1).any(1).sum())
        raise InputError(
            f"saliency maps must be numbers, got NaN in {broken} of {len(maps)}. An "
            "overflow in the network that they come from is the likely cause, "
            "most often half precision: compute them in float32, or take another provider."
        )
    if not (low >= 0 and high <= 1):
        raise InputError(
            f"saliency maps must lie in [0, 1], got [{low:.3f}, {high:.3f}]. "
            "Divide 8-bit maps by 255; pass logits through a sigmoid."
        )
    return maps.to(images)


def normalised(maps: Tensor) -> Tensor:
    """Stretch each map to [0, 1]; a constant map becomes 0 (nothing stands out).

    Args:
        maps: (N, 1, H, W).
    """
    low, high = maps.amin((1, 2, 3), keepdim=True), maps.amax((1, 2, 3), keepdim=True)
    spread = high - low
    return (maps - low) / spread.where(spread > 0, spread.new_ones(()))

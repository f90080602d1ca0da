"""Where an image is salient: what every provider of maps has in common."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor, nn

from project.core.errors import InputError
from project.core.samples import Samples
from project.saliency.cache import KEPT

SaliencyFunction = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Scene:
    """What is known of a batch beside its images.

    Attributes:
        victim: the (frozen) victim under attack.
        target: (N,) or (N, H, W).
        index: (N,) int64 on the CPU, the samples' stable ids.
    """

    victim: nn.Module
    target: Tensor
    index: Tensor


class Saliency(ABC):
    """A provider of saliency maps.

    Any callable from images to maps will do in its place; a provider that needs to know more
    than the images overrides ``maps`` or ``attach``.

    Attributes:
        kept: whether attacks keep the maps (:mod:`project.saliency.cache`): for providers whose map
            follows from its image alone, bit for bit, and costs more than reading a file.
    """

    kept: ClassVar[bool] = False

    def __call__(self, images: Tensor) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images (N, 3, H, W) in [0, 1]."""
        raise TypeError(
            f"{type(self).__name__} needs to know more than the images; give it to an attack."
        )

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1], knowing what else there is to know."""
        return self(images)

    def attach(self, samples: Samples) -> None:
        """Remember the data set, for providers that look samples up."""


class SceneSaliency(Saliency):
    """A provider that cannot work from the images alone."""

    @abstractmethod
    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1]."""


def saliency_maps(provider: Saliency | SaliencyFunction, images: Tensor, scene: Scene) -> Tensor:
    """Ask a provider, or any callable, for maps, and check what comes.

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

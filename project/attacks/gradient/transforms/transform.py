"""The interface of input transforms, and their composition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from torch import Tensor

from project.core.fields import CheckedFields
from project.core.randomness import Draws
from project.core.samples import Samples


class View(NamedTuple):
    """One transformed view of a batch of images.

    Attributes:
        change: maps images (N, 3, H, W) to images of the same shape; differentiable, and the same
            function at every call.
        follow: brings any map of the images' pixels, (N, H, W) or (N, C, H, W), into the changed
            frame, without gradient and without blending values; pixels outside of the image get
            the second argument.
    """

    change: Callable[[Tensor], Tensor]
    follow: Callable[[Tensor, int], Tensor]


class InputTransform(CheckedFields, ABC):
    """Base class of changes that images go through before the victim sees them.

    The gradient is the mean over all views.
    """

    @abstractmethod
    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the views of one step, one after another.

        Args:
            draws: random draws of the samples, for this transform and step.
        """

    @property
    def view_count(self) -> int:
        """Number of views of a step, each of which asks the source once."""
        return 1

    def attach(self, samples: Samples) -> None:
        """Give transforms that need other images (Admix) access to the samples."""


def still(change: Callable[[Tensor], Tensor]) -> View:
    """Return the view of a change that moves no pixel, so that labels need not follow."""
    return View(change, _unmoved)


def all_views(transforms: Sequence[InputTransform], draws: Draws) -> Iterator[View]:
    """Yield the views of several transforms in turn, each applied to those of the one before.

    Args:
        transforms: the transforms; without any, the one view is the images themselves.
        draws: random draws of the samples, for this step.
    """
    if not transforms:
        yield still(_same)
        return
    first, *others = transforms
    for number, view in enumerate(first.views(draws.keyed(len(others)))):
        for later in all_views(others, draws.keyed(len(others), number)):
            yield View(
                _then(view.change, later.change),
                _then_follow(view.follow, later.follow),
            )


def _same(images: Tensor) -> Tensor:
    return images


def _unmoved(pixels: Tensor, outside: int) -> Tensor:
    return pixels


def _then(
    first: Callable[[Tensor], Tensor], second: Callable[[Tensor], Tensor]
) -> Callable[[Tensor], Tensor]:
    return lambda images: second(first(images))


def _then_follow(
    first: Callable[[Tensor, int], Tensor], second: Callable[[Tensor, int], Tensor]
) -> Callable[[Tensor, int], Tensor]:
    return lambda pixels, outside: second(first(pixels, outside), outside)

"""Images of the data set that transforms mix into others."""

from collections.abc import Sequence

import torch
from torch import Tensor

from project.attacks.gradient.transforms.transform import InputTransform
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import KnowsSamples, Samples
from project.images.eight_bit import from_levels_


class Mixing(InputTransform, KnowsSamples):
    """Base class of transforms that mix other images of the data set into each view.

    The other images are of other classes; in segmentation, where an image has no class, they are
    any others. They come from the data set instead of the batch, so that no image depends on its
    batch mates [ours].
    """

    pool: int
    """Number of images of the data set from which the others are drawn; they are kept in memory,
    one byte a value."""

    def attach(self, samples: Samples) -> None:
        """Take the other images from a data set."""
        self.remember(samples)
        vars(self)["_others"] = Partners(samples, self.pool)

    @property
    def _others(self) -> "Partners | None":
        """The pool of other images; it is state of an attachment and not a setting."""
        known: Partners | None = vars(self).get("_others")
        return known

    def drawn_samples(self) -> Sequence[int]:
        """Return the pool: its photos belong to what every image is made from."""
        return self._others.indices if self._others else ()

    def partners_of(self, draws: Draws) -> Tensor:
        """Return another image for each sample, (N, 3, H, W) in [0, 1].

        Raises:
            InputError: if no data set is attached.
        """
        if self._others is None:
            raise InputError(
                f"{type(self).__name__} mixes in images of a data set, and knows none. Call "
                "attack.attach(data.samples) before the attack."
            )
        return self._others.drawn(draws)

    def beside(self, images: Tensor, others: Tensor) -> Tensor:
        """Return the other images in the dtype and on the device of the images.

        Raises:
            InputError: if they are of another size.
        """
        if others.shape != images.shape:
            raise InputError(
                f"{type(self).__name__} needs images of one size, got {tuple(others.shape[1:])} in "
                f"the data set and {tuple(images.shape[1:])} in the batch. Give the data a frame "
                "of fixed size, and attack the images of the data set attached."
            )
        return others.to(images, non_blocking=True)


class Partners:
    """A pool of images from which each sample draws a partner, never itself or of its own class.

    The pool is spread evenly over the whole data set, whatever part of it is attacked, so that an
    image's partners do not depend on that. Its images are read when first drawn, and kept.

    Args:
        samples: the data set.
        size: size of the pool; smaller where the data set is smaller.
    """

    def __init__(self, samples: Samples, size: int) -> None:
        self.samples = samples
        total = len(samples.names)
        size = min(size, total)
        self.indices = [number * total // size for number in range(size)]
        self._kept: dict[int, tuple[Tensor, int | None] | None] = {}

    def drawn(self, draws: Draws) -> Tensor:
        """Return a partner for each sample, (N, 3, H, W) in [0, 1]."""
        orders = draws.uniform(len(self.indices)).argsort(1).tolist()
        pairs = zip(draws.index.tolist(), orders, strict=True)
        levels = [self._first_other(sample, order) for sample, order in pairs]
        return from_levels_(torch.stack(levels).float())

    def _first_other(self, sample: int, order: list[int]) -> Tensor:
        """Return the first image of the pool, in drawn order, that may be mixed into a sample."""
        own = self.samples.label(sample)
        for index in (self.indices[place] for place in order):
            kept = self._read(index)
            if kept is None or index == sample:
                continue
            levels, label = kept
            if label is None or label != own:
                return levels
        raise InputError(
            "Mixing needs images of at least two classes (on segmentation, two images) in a pool "
            f"of {len(self.indices)}, and found none to mix into sample {sample}. Raise pool, or "
            "take a data set with more."
        )

    def _read(self, index: int) -> tuple[Tensor, int | None] | None:
        """Return an image in 8-bit levels, uint8, and its class; None where it is broken."""
        if index not in self._kept:
            try:
                levels = self.samples.image(index).mul(255).round().byte()
                self._kept[index] = levels, self.samples.label(index)
            except InputError:  # the check of the data reports it
                self._kept[index] = None
        return self._kept[index]

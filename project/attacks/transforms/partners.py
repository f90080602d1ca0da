"""Images of a data set that are mixed into others."""

from __future__ import annotations

import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import Samples
from project.images.eight_bit import from_levels_


class Partners:
    """A pool of images, and who is mixed with which: nobody with itself or with its own class.

    The pool is spread evenly over the whole data set, whatever part of it is attacked, so that an
    image's partners do not depend on that. Its images are read when first drawn, and kept.

    Args:
        samples: the data set.
        size: of the pool; smaller where the data set is.
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
        """Return the first of the pool, in an order drawn, that may be mixed into a sample."""
        own = self.samples.label(sample)
        for index in (self.indices[place] for place in order):
            kept = self._read(index)
            if kept is None or index == sample:
                continue
            levels, label = kept
            if label is None or label != own:
                return levels
        raise InputError(
            "Admix needs images of at least two classes (on segmentation, two images) in its pool "
            f"of {len(self.indices)}, and found none to mix into sample {sample}. Raise pool, or "
            "take a data set with more."
        )

    def _read(self, index: int) -> tuple[Tensor, int | None] | None:
        """Return an image in 8-bit levels, uint8, and its class; None where it is broken."""
        if index not in self._kept:
            try:
                levels = self.samples.image(index).mul(255).round().byte()
                self._kept[index] = levels, self.samples.label(index)
            except InputError:  # whoever verifies the data reports it
                self._kept[index] = None
        return self._kept[index]

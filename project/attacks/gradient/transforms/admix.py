"""Input transform Admix: a little of another image mixed into each copy."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from project.attacks.gradient.transforms.transform import InputTransform, View, still
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import KnowsSamples, Samples
from project.images.eight_bit import from_levels_


@dataclass(frozen=True)
class Admix(InputTransform, KnowsSamples):
    r"""Show copies with a little of another image in each: $$x + \eta x'$$.

    Followed by :class:`~project.attacks.ScaleInvariant` it is the paper's attack. The other images
    are of other classes; in segmentation, where an image has no class, they are any others [ours].
    They come from the data set instead of the batch, so that no image depends on its batch mates
    [ours].

    Source: Wang et al., "Admix: Enhancing the Transferability of Adversarial Attacks", ICCV 2021,
    eq. (6) and algorithm 1 [paper].
    """

    partners: int = 3
    """Number M2 of other images at each step, 3 as in the paper."""
    weight: float = 0.2
    """Weight η of the other image, 0.2 as in the paper."""
    pool: int = 64
    """Number of images of the data set from which the others are drawn; they are kept in memory,
    one byte a value."""

    def __post_init__(self) -> None:
        if self.partners < 1 or self.pool < 2:
            raise InputError(
                "partners must be at least 1 and pool at least 2, got "
                f"{self.partners}, {self.pool}."
            )

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

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.partners

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the mixed copies."""
        if self._others is None:
            raise InputError(
                "Admix mixes in images of a data set, and knows none. Call "
                "attack.attach(data.samples) before the attack."
            )
        for number in range(self.partners):
            yield still(partial(self._mix, self._others.drawn(draws.keyed("partner", number))))

    def _mix(self, others: Tensor, images: Tensor) -> Tensor:
        if others.shape != images.shape:
            raise InputError(
                f"Admix needs images of one size, got {tuple(others.shape[1:])} in the data set "
                f"and {tuple(images.shape[1:])} in the batch. Give the data a frame of fixed size, "
                "and attack the images of the data set attached."
            )
        return images + self.weight * others.to(images, non_blocking=True)


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
            except InputError:  # the check of the data reports it
                self._kept[index] = None
        return self._kept[index]

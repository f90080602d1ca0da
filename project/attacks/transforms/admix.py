"""Admix."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from torch import Tensor

from project.attacks.transforms.partners import Partners
from project.attacks.transforms.transform import InputTransform, View, still
from project.core.errors import InputError
from project.core.identity import digest
from project.core.randomness import Draws
from project.core.samples import Samples


class Admix(InputTransform):
    r"""Show copies with a little of another image in each: $$x + \eta x'$$.

    Followed by :class:`ScaleInvariant` it is the paper's attack. The other images are of other
    classes; on segmentation, which has none for an image, they are any others [ours]. They come
    from the data set instead of the batch, so that no image depends on its batch mates [ours].

    Source: Wang et al., "Admix: Enhancing the Transferability of Adversarial Attacks", ICCV 2021,
    eq. (6) and algorithm 1 [paper].

    Args:
        partners: m2, how many other images at each step, 3 as in the paper.
        weight: η, 0.2 as in the paper.
        pool: how many images of the data set they are drawn from; they are kept in memory, one
            byte a value.
    """

    def __init__(self, partners: int = 3, weight: float = 0.2, pool: int = 64) -> None:
        if partners < 1 or pool < 2:
            raise InputError(
                f"partners must be at least 1 and pool at least 2, got {partners}, {pool}."
            )
        self.partners = partners
        self.weight = weight
        self.pool = pool
        self._others: Partners | None = None

    def attach(self, samples: Samples) -> None:
        """Take the other images from a data set."""
        self._others = Partners(samples, self.pool)

    def fingerprint(self) -> str:
        """Return a hash of which samples are in the pool."""
        return digest(self._others.indices if self._others else [])

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the copies."""
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

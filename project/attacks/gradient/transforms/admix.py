"""Input transform Admix: a little of another image mixed into each copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from project.attacks.gradient.transforms.mixing import Mixing
from project.attacks.gradient.transforms.transform import View, still
from project.core.errors import InputError
from project.core.randomness import Draws


@dataclass(frozen=True)
class Admix(Mixing):
    r"""Show copies with a little of another image in each: $$x + \eta x'$$.

    Followed by :class:`~project.attacks.ScaleInvariant` it is the paper's attack. The other images
    are of other classes, as there, and from the data set instead of the batch [ours].

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

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.partners

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the mixed copies."""
        for number in range(self.partners):
            yield still(partial(self._mix, self.partners_of(draws.keyed("partner", number))))

    def _mix(self, others: Tensor, images: Tensor) -> Tensor:
        return images + self.weight * self.beside(images, others)

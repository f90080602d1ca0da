"""Input transform SI-FGSM: copies of falling brightness."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from operator import mul

from project.attacks.gradient.transforms.transform import InputTransform, View, still
from project.core.errors import InputError
from project.core.randomness import Draws


@dataclass(frozen=True)
class ScaleInvariant(InputTransform):
    r"""Show copies of falling brightness: $$x / 2^i,\ i = 0 \dots m - 1$$.

    Source: Lin et al., "Nesterov Accelerated Gradient and Scale Invariance for Adversarial
    Attacks", ICLR 2020, eq. (7) [paper].
    """

    copies: int = 5
    """Number m of copies, 5 as in the paper; 1 is the image alone."""

    def __post_init__(self) -> None:
        if self.copies < 1:
            raise InputError(f"copies must be at least 1, got {self.copies}.")

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the copies, the brightest first."""
        for number in range(self.copies):
            yield still(partial(mul, 2.0**-number))

"""Input transform of spectrum simulation: random weights of frequencies."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

from torch import Tensor

from project.attacks.gradient.transforms.transform import InputTransform, View, still
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.dct import cosines
from project.images.separable import along_axes


@dataclass(frozen=True)
class Spectrum(InputTransform):
    r"""Show copies whose frequencies are reweighted at random: $$D^{-1}(D(x + \xi) \odot M)$$.

    D is the cosine transform of the whole image, $$\xi \sim N(0, \sigma^2)$$,
    $$M \sim U(1 - \rho, 1 + \rho)$$, drawn for each value. Different victims attend to different
    frequencies; the copies stand for them. The gradient is that with respect to x.

    Source: Long et al., "Frequency Domain Model Augmentation for Adversarial Attack", ECCV 2022,
    eq. (6) and section 4.1 [paper]; the authors' code takes the gradient with respect to the copy
    instead, leaving D and M out of it [code].
    """

    copies: int = 20
    """Number of copies, 20 as in the paper."""
    sigma: float = 16 / 255
    """Standard deviation σ of the noise, in units of the [0, 1] range; the paper's is its budget,
    16/255."""
    spread: float = 0.5
    """Half width ρ of the weights' range, 0.5 as in the paper."""

    def __post_init__(self) -> None:
        if self.copies < 1 or not (self.sigma >= 0 and self.spread >= 0):
            raise InputError(
                "copies must be at least 1, sigma and spread at least 0, got "
                f"{self.copies}, {self.sigma}, {self.spread}."
            )

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the reweighted copies."""
        for number in range(self.copies):
            yield still(partial(self._change, draws.keyed("copy", number)))

    def _change(self, draws: Draws, images: Tensor) -> Tensor:
        shape = images.shape[1:]
        noise = draws.keyed("noise").normal(*shape).to(images, non_blocking=True)
        mask = draws.keyed("mask").uniform(*shape).to(images, non_blocking=True)
        weights = 1 + self.spread * (2 * mask - 1)
        waves = [cosines(size).to(images, non_blocking=True)[None] for size in shape[1:]]
        spectrum = along_axes(images + self.sigma * noise, *waves)
        return along_axes(spectrum * weights, *(wave.mT for wave in waves))

"""Input transform of mixed frequencies: high frequencies of another image in each copy."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial

import torch
from torch import Tensor

from project.attacks.gradient.transforms.mixing import Mixing
from project.attacks.gradient.transforms.transform import View, still
from project.core.errors import InputError
from project.core.precision import without_autocast
from project.core.randomness import Draws


@dataclass(frozen=True)
class MixedFrequency(Mixing):
    r"""Show copies in whose high frequencies another image is mixed, and noise over all of them.

    $$x + (1 - a)\,F^{-1}\big((1 - M) \odot F(x' - x)\big) + \xi$$, with F the Fourier transform of
    each channel, M the low frequencies, $$a \sim U(0, 1)$$ and $$\xi \sim N(0, \sigma^2)$$ drawn
    for each copy. Followed by :class:`~project.attacks.ScaleInvariant` it is the paper's attack.

    The other image is of another class and from the data set instead of the batch [ours].

    Source: "Enhancing Transferability of Adversarial Examples Through Mixed-Frequency Inputs",
    IEEE TIFS 2024 [paper]; its defaults and both masks as TransferAttack has them [port].
    """

    copies: int = 3
    """Number of copies, 3 as in the port."""
    radius: float = 100.0
    """Radius r of M around frequency 0, in periods per image side; an image of 224 pixels has
    frequencies up to 112 along each axis, of which 100 leaves the finest details to mix."""
    softness: float = 10.0
    r"""Width of M's edge, $$M = \mathrm{sigmoid}((r - d) / s)$$ at distance d; 0 is a disc (the
    paper's hard variant), from which all that is outside is the other image's."""
    sigma: float = 32 / 255
    """Standard deviation σ of the noise, in units of the [0, 1] range."""
    pool: int = 64
    """Number of images of the data set from which the others are drawn; they are kept in memory,
    one byte a value."""

    def __post_init__(self) -> None:
        if self.copies < 1 or self.pool < 2:
            raise InputError(
                f"copies must be at least 1 and pool at least 2, got {self.copies}, {self.pool}."
            )
        if not min(self.radius, self.softness, self.sigma) >= 0:
            raise InputError(
                "radius, softness and sigma must be at least 0, got "
                f"{self.radius}, {self.softness}, {self.sigma}."
            )

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the mixed copies."""
        for number in range(self.copies):
            copy = draws.keyed("copy", number)
            yield still(partial(self._mix, copy, self.partners_of(copy.keyed("partner"))))

    def _mix(self, draws: Draws, others: Tensor, images: Tensor) -> Tensor:
        others = self.beside(images, others)
        noise = draws.keyed("noise").normal(*images.shape[1:]).to(images, non_blocking=True)
        share = draws.keyed("share").uniform(1, 1, 1).to(images, non_blocking=True)
        weight = 1 - share if self.softness else 1.0
        return images + weight * self._high(others - images) + self.sigma * noise

    @without_autocast
    def _high(self, images: Tensor) -> Tensor:
        """Return the high frequencies of images, (N, 3, H, W)."""
        height, width = images.shape[2:]
        mask = _high_mask(height, width, self.radius, self.softness, images.dtype, images.device)
        # One by one: transforms of batches round differently in batches of other sizes.
        spectra = (torch.fft.rfft2(one) * mask for one in images)
        return torch.stack([torch.fft.irfft2(each, s=images.shape[2:]) for each in spectra])


@lru_cache(maxsize=8)
def _high_mask(
    height: int,
    width: int,
    radius: float,
    softness: float,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    """Return 1 - M, (H, W // 2 + 1), as ``rfft2`` orders frequencies."""
    down = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64)
    across = torch.fft.rfftfreq(width, 1 / width, dtype=torch.float64)
    distance = torch.hypot(down[:, None], across)
    if softness:
        mask = torch.sigmoid((distance - radius) / softness)
    else:
        mask = (distance > radius).double()
    return mask.to(device, dtype)

"""The universal image quality index, by its formula and as the sewar package computes it.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, mean over RGB
    sums     over grey levels 0 … 255 in int32, so exact: a flat window is one, bit for bit
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from project.metrics.family import FamilyMember
from project.metrics.sliding_windows import box_sum

_WINDOW = 8
_PIXELS = _WINDOW**2
# Of whole numbers: added to both sides of a fraction it changes no bit, but makes 1 of 0 / 0.
_TINY = 1e-30


class Sums(NamedTuple):
    """Clean grey levels with Σx of every window, int32."""

    levels: Tensor
    sums: Tensor


class Moments(NamedTuple):
    """What the quality of every window follows from.

    All are whole numbers in float64 but the first, which is 1 where both images are black.

    Attributes:
        luminance: 2μₓμᵧ / (μₓ² + μᵧ²).
        cross: 2 Σx Σy.
        luminances: (Σx)² + (Σy)².
        products: 2 Σxy.
        squares: Σ(x² + y²).
    """

    luminance: Tensor
    cross: Tensor
    luminances: Tensor
    products: Tensor
    squares: Tensor

    def quality(self, weight: int) -> Tensor:
        """Return the universal quality index of every window.

        Args:
            weight: factor of squares and products against the sums: the number of pixels, since
                nΣx² − (Σx)² is n² times the variance; or its square, as sewar has it.
        """
        # A window without variance has no covariance either: then the luminance term remains.
        # Both are negative here: so each takes a single pass over the windows.
        covariances = self.cross.sub(self.products, alpha=weight).sub_(_TINY)
        variances = self.luminances.sub(self.squares, alpha=weight).sub_(_TINY)
        return covariances.div_(variances).mul_(self.luminance)


class _UniversalQuality(FamilyMember[Sums, Moments]):
    """Base of the two indices: clean sums, and the moments of both images."""

    def prepare(self, clean: Tensor) -> Sums:
        """Return the sums of clean grey levels."""
        return Sums(clean, box_sum(clean, _WINDOW))

    def measure(self, side: Sums, adversarial: Tensor) -> Moments:
        """Return the moments of the windows of clean and adversarial grey levels (N, 3, H, W)."""
        sums = box_sum(adversarial, _WINDOW)
        cross = (side.sums * sums).mul_(2).double()
        luminances = (side.sums * side.sums).addcmul_(sums, sums).double()
        products = box_sum((side.levels * adversarial).mul_(2), _WINDOW).double()
        squares = (side.levels * side.levels).addcmul_(adversarial, adversarial)
        squares = box_sum(squares, _WINDOW).double()
        luminance = (cross + _TINY).div_(luminances + _TINY)
        return Moments(luminance, cross, luminances, products, squares)


class UQI(_UniversalQuality):
    """Universal image quality index, 8×8 windows: 4σₓᵧμₓμᵧ / ((σₓ² + σᵧ²)(μₓ² + μᵧ²)).

    SSIM without its constants. A window that is flat in both images has the luminance term alone,
    one that is black in both counts as 1, as in the authors' code.

    Source: Wang, Bovik, "A universal image quality index", IEEE Signal Processing Letters 9(3),
    2002, eq. (2).
    """

    name = "uqi"
    smallest = _WINDOW

    def value(self, measured: Moments) -> Tensor:
        """Return the mean quality, (N,) in [-1, 1], 1 for identical images."""
        return measured.quality(_PIXELS).mean((1, 2, 3))


class UQISewar(_UniversalQuality):
    """UQI as the ``sewar`` package computes it, for comparison with papers that report it.

    It puts the windows' means where the formula has their sums, which drowns the variances in the
    squares of the means: values are far nearer to 1 than :class:`UQI`'s. Its last row and column
    of windows is left out. SSTA's 0.9998, and stAdv's 0.9925, fit only this [ours].

    Source: ``sewar.full_ref.uqi`` of sewar 0.4 [code].
    """

    name = "uqi_sewar"
    smallest = _WINDOW + 1

    def value(self, measured: Moments) -> Tensor:
        """Return the mean quality, (N,) in [-1, 1], 1 for identical images."""
        return measured.quality(_PIXELS**2)[..., :-1, :-1].mean((1, 2, 3))

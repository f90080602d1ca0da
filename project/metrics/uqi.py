"""The universal image quality index, by its formula and as the sewar package computes it.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, mean over RGB
    sums     over grey levels 0 … 255 in int32, so exact: a flat window is one, bit for bit
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.sliding_windows import box_sum

_WINDOW = 8
_PIXELS = _WINDOW**2


class Sums(NamedTuple):
    """Clean grey levels with Σx and Σx² of every window, int32."""

    levels: Tensor
    sums: Tensor
    squares: Tensor


class UQI(PerceptualMetric[Sums]):
    """Universal image quality index, 8×8 windows: 4σₓᵧμₓμᵧ / ((σₓ² + σᵧ²)(μₓ² + μᵧ²)).

    SSIM without its constants. A window that is flat in both images has the luminance term alone,
    one that is black in both counts as 1, as in the authors' code.

    Source: Wang, Bovik, "A universal image quality index", IEEE Signal Processing Letters 9(3),
    2002, eq. (2).
    """

    name = "uqi"
    smallest = _WINDOW

    def prepare(self, clean: Tensor) -> Sums:
        """Return the sums of clean grey levels."""
        return _sums(clean)

    def compare(self, side: Sums, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [-1, 1], 1 for identical images."""
        return _quality(side, _sums(adversarial), _PIXELS).flatten(1).mean(1)


class UQISewar(PerceptualMetric[Sums]):
    """UQI as the ``sewar`` package computes it, for comparison with papers that report it.

    It puts the windows' means where the formula has their sums, which drowns the variances in the
    squares of the means: values are far nearer to 1 than :class:`UQI`'s. Its last row and column
    of windows is left out. SSTA's 0.9998, and stAdv's 0.9925, fit only this [ours].

    Source: ``sewar.full_ref.uqi`` of sewar 0.4 [code].
    """

    name = "uqi_sewar"
    smallest = _WINDOW + 1

    def prepare(self, clean: Tensor) -> Sums:
        """Return the sums of clean grey levels."""
        return _sums(clean)

    def compare(self, side: Sums, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [-1, 1], 1 for identical images."""
        quality = _quality(side, _sums(adversarial), _PIXELS**2)
        return quality[..., :-1, :-1].flatten(1).mean(1)


def _sums(levels: Tensor) -> Sums:
    return Sums(levels, box_sum(levels, _WINDOW), box_sum(levels * levels, _WINDOW))


def _quality(x: Sums, y: Sums, weight: int) -> Tensor:
    """Return the universal quality index of every window from its sums.

    Args:
        x: sums of clean images.
        y: sums of adversarial images.
        weight: factor of squares and products against the sums: the number of pixels, since
            nΣx² − (Σx)² is n² times the variance; or its square, as sewar has it.
    """
    luminances = x.sums.square() + y.sums.square()
    cross = x.sums * y.sums
    luminance = torch.where(luminances > 0, cross.double().mul_(2).div_(luminances), 1)
    variances = (x.squares + y.squares).double().mul_(weight).sub_(luminances)
    covariances = box_sum(x.levels * y.levels, _WINDOW).double().mul_(weight).sub_(cross)
    structure = covariances.mul_(2).div_(variances)
    return torch.where(variances > 0, luminance * structure, luminance)

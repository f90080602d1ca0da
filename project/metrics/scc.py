"""The spatial correlation coefficient: correlation of two images' edges."""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.sliding_windows import box_sum

_WINDOW = 8
_PIXELS = _WINDOW**2
_TINY = 1e-30  # makes 0 of 0 / 0, and is nothing beside a spread of whole numbers


class Edges(NamedTuple):
    """High-pass filtered images, padded with zeros, with the moments of their windows.

    Attributes:
        values: −2040 … 2040, int32.
        sums: Σ, float64, as the next.
        variances: 64 Σ² − (Σ)².
    """

    values: Tensor
    sums: Tensor
    variances: Tensor


class SCC(PerceptualMetric[Edges]):
    """Spatial correlation coefficient: how the edges of both images correlate, 8×8 windows.

    Correlation σₓᵧ / (σₓσᵧ) of the images after the high-pass filter [−1 −1 −1; −1 8 −1; −1 −1 −1],
    edges repeated; windows reach over the border, where there is 0. A window without any variance
    counts as 0, in both packages that define what papers report: so identical images with flat
    areas stay below 1.

    Images (N, 3, H, W) in [0, 1], rounded to k/255; values (N,) float64, mean over RGB. Sums are
    over int32, so exact.

    Source: Zhou, Civco, Silander, "A wavelet transform method to merge Landsat TM and SPOT
    panchromatic data", International Journal of Remote Sensing 19(4), 1998; window by window as in
    ``sewar`` and torchmetrics [code], here with exact sums.
    """

    name = "scc"
    smallest = 1

    def prepare(self, clean: Tensor) -> Edges:
        """Return the edges of clean grey levels."""
        return _edges(clean)

    def compare(self, side: Edges, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [-1, 1]."""
        own = _edges(adversarial)
        products = box_sum(side.values * own.values, _WINDOW).double()
        covariances = products.mul_(_PIXELS).addcmul_(side.sums, own.sums, value=-1)
        spreads = own.variances.mul_(side.variances).sqrt_().add_(_TINY)
        # A window without variance has no covariance either, to the last bit.
        return covariances.div_(spreads).mean((1, 2, 3))


def _edges(levels: Tensor) -> Edges:
    values = F.pad(_high_passed(levels), (4, 3, 4, 3))
    sums = box_sum(values, _WINDOW).double()
    squares = box_sum(values * values, _WINDOW).double()
    return Edges(values, sums, squares.mul_(_PIXELS).addcmul_(sums, sums, value=-1))


def _high_passed(levels: Tensor) -> Tensor:
    """Return 8 times each pixel minus its eight neighbours, int32."""
    # Padding by replication takes no integers; float32 holds these exactly.
    around = F.pad(levels.float(), (1, 1, 1, 1), mode="replicate")
    return 9 * levels - box_sum(around, 3).int()

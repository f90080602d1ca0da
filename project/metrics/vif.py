"""Visual information fidelity."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.sliding_windows import gaussian_means

_SIZES = (17, 9, 5, 3)
_NOISE = 2.0
_TINY = 1e-10
_FACTORS = 16  # of which a product cannot overflow: a variance of grey levels is at most 2¹⁴


class Scale(NamedTuple):
    """Clean images on one scale, with the moments of their windows, float64.

    Attributes:
        images: (N, 3, H, W), the grey levels themselves on the first scale.
        mean: mean of every window.
        variance: variance of every window, 0 where it is tiny.
        information: Σ log(1 + σₓ² / 2), (N, 3).
    """

    images: Tensor
    mean: Tensor
    variance: Tensor
    information: Tensor


class VIFp(PerceptualMetric[list[Scale]]):
    """Pixel-based visual information fidelity: the share of an image's information that is left.

    On four scales, Σ log(1 + g²σₓ² / (σᵥ² + 2)) / Σ log(1 + σₓ² / 2), with g = σₓᵧ / σₓ²,
    σᵥ² = σᵧ² − g·σₓᵧ, over Gaussian windows of side 17, 9, 5, 3 and σ = side / 5, in 0–255 units.
    More contrast than the clean image's gives more than 1. A flat channel of the clean image has no
    information to lose and counts as 1 [ours].

    Images (N, 3, H, W) in [0, 1], rounded to k/255; values (N,) float64, mean over RGB.

    Source: Sheikh, Bovik, "Image information and visual quality", IEEE Transactions on Image
    Processing 15(2), 2006, and the authors' ``vifp_mscale`` [code].
    """

    name = "vif_p"
    smallest = 41

    def prepare(self, clean: Tensor) -> list[Scale]:
        """Return the four scales of clean grey levels."""
        scales = zip(_scales(clean), _SIZES, strict=True)
        return [_scale(images, size) for images, size in scales]

    def compare(self, side: list[Scale], adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,), at least 0, 1 for identical images."""
        scales = zip(side, _scales(adversarial), _SIZES, strict=True)
        kept = torch.stack([_kept(scale, images, size) for scale, images, size in scales]).sum(0)
        there = torch.stack([scale.information for scale in side]).sum(0)
        return torch.where(there > 0, kept / there, 1).mean(1)


def _scales(images: Tensor) -> list[Tensor]:
    """Return images at four scales: the original, and smoothed and halved three times."""
    found = [images]
    for size in _SIZES[1:]:
        found += gaussian_means(found[-1:], size, size / 5, stride=2)
    return found


def _scale(images: Tensor, size: int) -> Scale:
    mean, squares = gaussian_means([images, images * images], size, size / 5)
    variance = F.threshold(squares.addcmul_(mean, mean, value=-1), _TINY, 0, inplace=True)
    return Scale(images, mean, variance, _information(variance / _NOISE))


def _kept(clean: Scale, images: Tensor, size: int) -> Tensor:
    """Return the information that images preserve on one scale, (N, 3)."""
    changed = [images, images * images, clean.images * images]
    mean, variance, covariance = gaussian_means(changed, size, size / 5)
    variance.addcmul_(mean, mean, value=-1)
    covariance.addcmul_(clean.mean, mean, value=-1).clamp_(min=0)
    gain = covariance / (clean.variance + _TINY)
    noise = variance.addcmul_(gain, covariance, value=-1).clamp_(min=_TINY).add_(_NOISE)
    # The authors set the gain to 0 where the variance is tiny; there this is less than that anyway.
    return _information(gain.square_().mul_(clean.variance).div_(noise))


def _information(ratios: Tensor) -> Tensor:
    """Return Σ log(1 + r) of ratios (N, 3, H, W), at most 2¹³ each; (N, 3). They are overwritten.

    A product of 16 factors has one logarithm, which takes as long as ten products.
    """
    factors = ratios.add_(1)
    count, channels, height, width = factors.shape
    rows = height // _FACTORS * _FACTORS
    products = factors[:, :, :rows].view(count, channels, _FACTORS, rows // _FACTORS, width).prod(2)
    return products.log_().sum((2, 3)) + factors[:, :, rows:].log().sum((2, 3))

r"""Structural similarity: SSIM on one scale, MS-SSIM on five.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device
    change   d = y − x, of the adversarial from the clean image, in grey levels

Small distances from 1 are computed from d, which avoids cancellation: the two terms are
$$1 - \frac{\mu_d^2} {\mu_x^2 + \mu_y^2 + c_1}$$ and
$$1 - \frac{\sigma_d^2} {\sigma_x^2 + \sigma_y^2 + c_2}$$, with $$\mu_y = \mu_x + \mu_d$$: three
windowed means, of d, d² and x² + y², besides that of x, and 1 exactly for identical images.
"""

from __future__ import annotations

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor

from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.sliding_windows import gaussian_means

_WINDOW = 11
_SIGMA = 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


class Windows(NamedTuple):
    """Clean images on one scale, with the means of their windows, float64."""

    images: Tensor
    mean: Tensor


class SSIM(PerceptualMetric[Windows]):
    """Structural similarity, 11×11 Gaussian window with σ = 1.5, range 1, mean over RGB.

    (2μₓμᵧ + c₁)(2σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁)(σₓ² + σᵧ² + c₂)), c₁ = 0.01², c₂ = 0.03², averaged
    over the windows that lie inside the image; windows over a padded border are left out, as in the
    authors' code and in scikit-image. In float64, since near 1 a float32 variance cancels.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, eq. (13).
    """

    name = "ssim"
    smallest = _WINDOW

    def prepare(self, clean: Tensor) -> Windows:
        """Return the windows of clean grey levels."""
        return _windows(clean)

    def compare(self, side: Windows, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [-1, 1], 1 for identical images."""
        luminance, structure = _losses(side, adversarial - side.images)
        # 1 − (1 − l)(1 − s) = l + s − l·s
        loss = structure.addcmul_(luminance, structure, value=-1).add_(luminance)
        return 1 - loss.mean((1, 2, 3))


class MSSSIM(PerceptualMetric[list[Windows]]):
    r"""Multi-scale SSIM: contrast and structure on five scales, luminance on the coarsest.

    $$\prod_{j=1}^{5} s_j^{w_j}$$, where $$s_j$$ is the mean of the contrast-structure term on scale
    j and on the last scale the mean SSIM; w = 0.0448, 0.2856, 0.3001, 0.2363, 0.1333. Each scale
    halves the one before by 2×2 means; an odd side repeats its last row. A negative mean, which has
    no such power, counts as 0 [port: torchmetrics].

    Source: Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality
    assessment", Asilomar 2003, eq. (7), and the authors' code.
    """

    name = "ms_ssim"
    weights = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
    smallest = 161  # the fifth scale must hold a window

    def prepare(self, clean: Tensor) -> list[Windows]:
        """Return the windows of clean grey levels on the five scales."""
        found = [_windows(clean)]
        images = clean.double()
        for _ in self.weights[1:]:
            images = _halved(images)
            found.append(_windows(images))
        return found

    def compare(self, side: list[Windows], adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [0, 1], 1 for identical images."""
        change = adversarial - side[0].images
        product = side[0].mean.new_ones(len(change))
        for windows, weight in zip(side, self.weights, strict=True):
            luminance, structure = _losses(windows, change)
            last = windows is side[-1]
            term = (1 - luminance) * (1 - structure) if last else 1 - structure
            product = product * term.flatten(1).mean(1).clamp(min=0) ** weight
            change = _halved(change.double())  # halving is linear
        return product


def _windows(images: Tensor) -> Windows:
    [mean] = gaussian_means([images], _WINDOW, _SIGMA)
    return Windows(images, mean)


def _losses(clean: Windows, change: Tensor) -> tuple[Tensor, Tensor]:
    """Return 1 − the luminance term and 1 − the contrast-structure term of every window.

    Args:
        clean: a scale of clean images.
        change: of the adversarial images from them, of the same shape and type.
    """
    images = clean.images + change
    squares = (clean.images * clean.images).addcmul_(images, images)
    mean, variance, variances = gaussian_means([change, change * change, squares], _WINDOW, _SIGMA)
    # In place: fresh memory for every term would cost as much as the windows.
    square = mean * mean
    luminances = mean.add_(clean.mean).square_().addcmul_(clean.mean, clean.mean)
    variances.sub_(luminances).add_(_C2)
    structure = variance.sub_(square).div_(variances)
    return square.div_(luminances.add_(_C1)), structure


def _halved(images: Tensor) -> Tensor:
    odd_height, odd_width = images.shape[-2] % 2, images.shape[-1] % 2
    return F.avg_pool2d(F.pad(images, (0, odd_width, 0, odd_height), mode="replicate"), 2)

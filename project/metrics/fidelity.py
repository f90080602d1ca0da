"""Universal quality, correlation of edges and visual information: SSTA's further measures.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, mean over RGB
    sums     over grey levels 0 … 255 in float64, so exact: a flat window is one, bit for bit
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from project.metrics.windows import box_sum, checked_pair, eight_bit, gaussian_mean

_WINDOW = 8
_PIXELS = _WINDOW**2


class UQI:
    """Universal image quality index, 8×8 windows: 4σₓᵧμₓμᵧ / ((σₓ² + σᵧ²)(μₓ² + μᵧ²)).

    SSIM without its constants. A window that is flat in both images has the luminance term alone,
    one that is black in both counts as 1, as in the authors' code.

    Source: Wang, Bovik, "A universal image quality index", IEEE Signal Processing Letters 9(3),
    2002, eq. (2).
    """

    name = "uqi"
    smallest = _WINDOW

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [-1, 1], 1 for identical images."""
        checked_pair(clean, adversarial, self.smallest, "UQI")
        sums = _window_sums(clean, adversarial)
        return _quality(*sums).flatten(1).mean(1)


class UQISewar:
    """What the ``sewar`` package calls UQI, for comparison with papers that report it.

    It puts the windows' means where the formula has their sums, which drowns the variances in the
    squares of the means: values are far nearer to 1 than :class:`UQI`'s. Its last row and column
    of windows is left out. SSTA's 0.9998, and stAdv's 0.9925, fit only this [ours].

    Source: ``sewar.full_ref.uqi`` of sewar 0.4 [code].
    """

    name = "uqi_sewar"
    smallest = _WINDOW + 1

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [-1, 1], 1 for identical images."""
        checked_pair(clean, adversarial, self.smallest, "UQI")
        means = (value[..., :-1, :-1] / _PIXELS for value in _window_sums(clean, adversarial))
        return _quality(*means).flatten(1).mean(1)


class SCC:
    """Spatial correlation coefficient: how the edges of both images correlate, 8×8 windows.

    Correlation σₓᵧ / (σₓσᵧ) of the images after the high-pass filter [−1 −1 −1; −1 8 −1; −1 −1 −1],
    edges repeated; windows reach over the border, where there is 0. A window without any variance
    counts as 0, in both packages that define what papers report: so identical images with flat
    areas stay below 1.

    Source: Zhou, Civco, Silander, "A wavelet transform method to merge Landsat TM and SPOT
    panchromatic data", International Journal of Remote Sensing 19(4), 1998; window by window as in
    ``sewar`` and torchmetrics [code], here with exact sums.
    """

    name = "scc"
    smallest = 1

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [-1, 1]."""
        checked_pair(clean, adversarial, self.smallest, "SCC")
        x, y = (_edges(eight_bit(images).double()) for images in (clean, adversarial))
        border = (4, 3, 4, 3)
        x, y = F.pad(x, border), F.pad(y, border)
        sum_x, sum_y = box_sum(x, _WINDOW), box_sum(y, _WINDOW)
        variance_x = _PIXELS * box_sum(x * x, _WINDOW) - sum_x**2
        variance_y = _PIXELS * box_sum(y * y, _WINDOW) - sum_y**2
        covariance = _PIXELS * box_sum(x * y, _WINDOW) - sum_x * sum_y
        both = variance_x.sqrt() * variance_y.sqrt()
        return torch.where(both > 0, covariance / both, 0).flatten(1).mean(1)


class VIFp:
    """Pixel-based visual information fidelity: what the change leaves of an image's information.

    On four scales, Σ log₁₀(1 + g²σₓ² / (σᵥ² + 2)) / Σ log₁₀(1 + σₓ² / 2), with g = σₓᵧ / σₓ²,
    σᵥ² = σᵧ² − g·σₓᵧ, over Gaussian windows of side 17, 9, 5, 3 and σ = side / 5, in 0–255 units.
    More contrast than the clean image's gives more than 1. A flat channel of the clean image has no
    information to lose and counts as 1 [ours].

    Source: Sheikh, Bovik, "Image information and visual quality", IEEE Transactions on Image
    Processing 15(2), 2006, and the authors' ``vifp_mscale`` [code].
    """

    name = "vif_p"
    smallest = 41

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,), at least 0, 1 for identical images."""
        checked_pair(clean, adversarial, self.smallest, "VIF-p")
        x, y = eight_bit(clean).double(), eight_bit(adversarial).double()
        kept, there = x.new_zeros(x.shape[:2]), x.new_zeros(x.shape[:2])
        for size in (17, 9, 5, 3):
            if size < 17:
                x, y = (gaussian_mean(z, size, size / 5)[..., ::2, ::2] for z in (x, y))
            kept_here, there_here = _information(x, y, size)
            kept, there = kept + kept_here, there + there_here
        return torch.where(there > 0, kept / there, 1).mean(1)


def _window_sums(clean: Tensor, adversarial: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return Σx, Σy, Σ(x² + y²) and Σxy of every window."""
    x, y = eight_bit(clean).double(), eight_bit(adversarial).double()
    values = (x, y, x * x + y * y, x * y)
    sum_x, sum_y, squares, products = (box_sum(value, _WINDOW) for value in values)
    return sum_x, sum_y, squares, products


def _quality(sum_x: Tensor, sum_y: Tensor, squares: Tensor, products: Tensor) -> Tensor:
    """Return the universal quality index of every window from its sums."""
    luminances = sum_x**2 + sum_y**2
    variances = _PIXELS * squares - luminances
    luminance = torch.where(luminances > 0, 2 * sum_x * sum_y / luminances, 1)
    structure = 2 * (_PIXELS * products - sum_x * sum_y) / variances
    return torch.where(variances > 0, luminance * structure, luminance)


def _edges(levels: Tensor) -> Tensor:
    """Return 8 times each pixel less its eight neighbours."""
    return 9 * levels - box_sum(F.pad(levels, (1, 1, 1, 1), mode="replicate"), 3)


def _information(x: Tensor, y: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Return what y keeps of x's information on one scale, and x's information; (N, 3) each."""
    tiny, noise = 1e-10, 2.0
    mean_x, mean_y = gaussian_mean(x, size, size / 5), gaussian_mean(y, size, size / 5)
    variance_x = (gaussian_mean(x * x, size, size / 5) - mean_x**2).clamp(min=0)
    variance_y = (gaussian_mean(y * y, size, size / 5) - mean_y**2).clamp(min=0)
    covariance = gaussian_mean(x * y, size, size / 5) - mean_x * mean_y
    variance_x = torch.where(variance_x < tiny, 0, variance_x)
    gain = covariance / (variance_x + tiny)
    nothing = (variance_x == 0) | (variance_y < tiny) | (gain < 0)
    gain = torch.where(nothing, 0, gain)
    lost = (variance_y - gain * covariance).clamp(min=tiny)
    kept = torch.log10(1 + gain**2 * variance_x / (lost + noise))
    return kept.sum((2, 3)), torch.log10(1 + variance_x / noise).sum((2, 3))

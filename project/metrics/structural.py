"""Structural similarity, on one scale and on five.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor

from project.metrics.windows import checked_pair, eight_bit, gaussian_mean

_WINDOW = 11
_SIGMA = 1.5


class SSIM:
    """Structural similarity, 11×11 Gaussian window with σ = 1.5, range 1, mean over RGB.

    (2μₓμᵧ + c₁)(2σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁)(σₓ² + σᵧ² + c₂)), c₁ = 0.01², c₂ = 0.03², averaged
    over the windows that lie inside the image; windows over a padded border are left out, as in the
    authors' code and in scikit-image. In float64, since near 1 a float32 variance cancels.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, eq. (13).
    """

    name = "ssim"
    smallest = _WINDOW

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [-1, 1], 1 for identical images.

        Raises:
            ValueError: if the images are smaller than the window.
        """
        checked_pair(clean, adversarial, self.smallest, "SSIM")
        luminance, structure = _maps(_unit(clean), _unit(adversarial))
        return (luminance * structure).flatten(1).mean(1)


class MSSSIM:
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

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, 1], 1 for identical images.

        Raises:
            ValueError: if the images are smaller than 161 pixels.
        """
        checked_pair(clean, adversarial, self.smallest, "MS-SSIM")
        x, y = _unit(clean), _unit(adversarial)
        product = x.new_ones(len(x))
        for scale, weight in enumerate(self.weights):
            if scale:
                x, y = _halved(x), _halved(y)
            luminance, structure = _maps(x, y)
            term = structure if scale < len(self.weights) - 1 else luminance * structure
            product = product * term.flatten(1).mean(1).clamp(min=0) ** weight
        return product


def _unit(images: Tensor) -> Tensor:
    return eight_bit(images).double() / 255


def _maps(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """Return the luminance term and the contrast-structure term of every window."""
    mean_x, mean_y = gaussian_mean(x, _WINDOW, _SIGMA), gaussian_mean(y, _WINDOW, _SIGMA)
    variances = gaussian_mean(x * x + y * y, _WINDOW, _SIGMA) - mean_x**2 - mean_y**2
    covariance = gaussian_mean(x * y, _WINDOW, _SIGMA) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
    return luminance, (2 * covariance + 0.03**2) / (variances + 0.03**2)


def _halved(x: Tensor) -> Tensor:
    odd_height, odd_width = x.shape[-2] % 2, x.shape[-1] % 2
    return F.avg_pool2d(F.pad(x, (0, odd_width, 0, odd_height), mode="replicate"), 2)

"""How visible a perturbation is, image by image, on the 8-bit image that a file would hold.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device
"""

from __future__ import annotations

import warnings
from typing import Literal, Protocol

import lpips
import torch
from torch import Tensor


class PerceptualMetric(Protocol):
    """A named distance or similarity between clean and adversarial images."""

    @property
    def name(self) -> str:
        """Column of the rows, for example ``psnr``."""
        ...

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; one value per image, (N,) float64."""
        ...


class L2:
    """Euclidean length of the change in [0, 1] units, ‖x' − x‖₂ over all pixels and channels."""

    name = "l2"

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, sqrt(3HW)]."""
        return _squared_error(clean, adversarial).double().sqrt() / 255


class Linf:
    """Largest change of any channel of any pixel in [0, 1] units, ‖x' − x‖∞; × 255 in grey levels.

    It is a multiple of 1/255, so a budget of 8/255 is met exactly.
    """

    name = "linf"

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, 1]."""
        return _difference(clean, adversarial).abs().flatten(1).amax(1).double() / 255


class MSE:
    """Mean squared change in 0–255 units, mean over pixels and channels, as SSTA's tables use it.

    Source: Liu et al., "SSTA: Salient Spatially Transformed Attack", ICASSP 2024, table 2 [paper].
    """

    name = "mse"

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, 255²]."""
        return _squared_error(clean, adversarial).double() / clean[0].numel()


class PSNR:
    """Peak signal-to-noise ratio in dB, 10 · log10(255² / MSE); infinite for identical images."""

    name = "psnr"

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, ∞] dB."""
        return 10 * torch.log10(255**2 / MSE()(clean, adversarial))


class SSIM:
    """Structural similarity, 11×11 Gaussian window with σ = 1.5, range 1, mean over RGB.

    (2μₓμᵧ + c₁)(2σₓᵧ + c₂) / ((μₓ² + μᵧ² + c₁)(σₓ² + σᵧ² + c₂)), c₁ = 0.01², c₂ = 0.03², averaged
    over the windows that lie inside the image; windows over a padded border are left out, as in the
    authors' code and in scikit-image. In float64, since near 1 a float32 variance cancels; the
    window is separable, which makes that faster than a float32 convolution with it.

    Source: Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
    structural similarity", IEEE Transactions on Image Processing 13(4), 2004, eq. (13).
    """

    name = "ssim"
    window = 11
    sigma = 1.5

    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [-1, 1], 1 for identical images.

        Raises:
            ValueError: if the images are smaller than the window.
        """
        if min(clean.shape[-2:]) < self.window:
            raise ValueError(
                f"SSIM needs images of at least {self.window}×{self.window} pixels, got "
                f"{clean.shape[-2]}×{clean.shape[-1]}. Leave ssim out of the metrics."
            )
        x = _eight_bit(clean).double() / 255
        y = _eight_bit(adversarial).double() / 255
        mean_x, mean_y = self._window_mean(x), self._window_mean(y)
        variances = self._window_mean(x * x + y * y) - mean_x**2 - mean_y**2
        covariance = self._window_mean(x * y) - mean_x * mean_y
        luminance = (2 * mean_x * mean_y + 0.01**2) / (mean_x**2 + mean_y**2 + 0.01**2)
        structure = (2 * covariance + 0.03**2) / (variances + 0.03**2)
        return (luminance * structure).flatten(1).mean(1)

    def _window_mean(self, x: Tensor) -> Tensor:
        """Gaussian mean over every window inside the image, (N, 3, H - 10, W - 10)."""
        offset = torch.arange(self.window, dtype=x.dtype) - self.window // 2
        gaussian = torch.exp(-(offset**2) / (2 * self.sigma**2))
        weights = (gaussian / gaussian.sum()).tolist()
        for axis in (-2, -1):
            length = x.shape[axis] - self.window + 1
            x = sum(
                (weight * x.narrow(axis, start, length) for start, weight in enumerate(weights)),
                start=torch.zeros((), dtype=x.dtype, device=x.device),
            )
        return x


class LPIPS:
    """Learned perceptual distance: weighted differences of a network's features; 0 is identical.

    The backbone is part of the metric and of its name: values of different backbones do not
    compare. The ``lpips`` package, version 0.1 of its linear weights; images scaled to [−1, 1].

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", CVPR 2018, eq. (1).

    Args:
        net: backbone: ``squeeze`` (SqueezeNet 1.1), ``alex`` or ``vgg`` (VGG-16). Its torchvision
            weights must be in place; :func:`project.metrics.perceptual_panel` sees to it.
    """

    def __init__(self, net: Literal["squeeze", "alex", "vgg"]) -> None:
        self.net = net
        self.name = f"lpips_{net}"
        with warnings.catch_warnings():
            # The lpips package calls torchvision's older interface.
            warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
            warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
            self.network = lpips.LPIPS(net=net, verbose=False)
        self.network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,), at least 0."""
        self.network.to(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            distance: Tensor = self.network(
                _minus_one_to_one(clean), _minus_one_to_one(adversarial)
            )
        return distance.reshape(len(clean)).double()


def _eight_bit(images: Tensor) -> Tensor:
    """Round images in [0, 1] to grey levels, (N, 3, H, W) int32 in 0 … 255."""
    return (images * 255).round().int()


def _minus_one_to_one(images: Tensor) -> Tensor:
    return _eight_bit(images).float() / 127.5 - 1


def _difference(clean: Tensor, adversarial: Tensor) -> Tensor:
    if clean.shape != adversarial.shape or clean.ndim != 4:
        raise ValueError(
            "clean and adversarial must both be (N, 3, H, W), got "
            f"{tuple(clean.shape)} and {tuple(adversarial.shape)}."
        )
    return _eight_bit(adversarial) - _eight_bit(clean)


def _squared_error(clean: Tensor, adversarial: Tensor) -> Tensor:
    """Sum of squared grey-level changes, (N,) int64: exact, so free of any summation order."""
    return _difference(clean, adversarial).square().flatten(1).sum(1, dtype=torch.int64)

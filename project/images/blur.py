"""Gaussian smoothing of images and maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.precision import without_autocast


@without_autocast
def gaussian_blur(images: Tensor, sigma: float) -> Tensor:
    """Convolve with a Gaussian, cut at 3 σ, borders repeated.

    Args:
        images: (N, C, H, W).
        sigma: standard deviation in pixels, greater than 0.
    """
    radius = max(1, round(3 * sigma))
    position = torch.arange(-radius, radius + 1, device=images.device, dtype=images.dtype)
    kernel = torch.exp(-(position**2) / (2 * sigma**2))
    kernel = (kernel / kernel.sum()).repeat(images.shape[1], 1, 1, 1)
    padded = F.pad(images, [radius] * 4, mode="replicate")
    rows = F.conv2d(padded, kernel, groups=images.shape[1])
    return F.conv2d(rows, kernel.transpose(2, 3), groups=images.shape[1])

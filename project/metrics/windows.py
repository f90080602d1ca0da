"""Grey levels, and means and sums over sliding windows, which most perceptual metrics are made of.

Convention
    levels    (N, C, H, W) float64, whole numbers 0 … 255
    windows   those inside the image only; one value per place of the window
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def eight_bit(images: Tensor) -> Tensor:
    """Round images in [0, 1] to grey levels, (N, 3, H, W) int32 in 0 … 255."""
    return (images * 255).round().int()


def checked_pair(clean: Tensor, adversarial: Tensor, smallest: int, name: str) -> None:
    """Require two equal batches of images that are large enough.

    Raises:
        ValueError: if the shapes differ, or a side is shorter than ``smallest`` pixels.
    """
    if clean.shape != adversarial.shape or clean.ndim != 4:
        raise ValueError(
            "clean and adversarial must both be (N, 3, H, W), got "
            f"{tuple(clean.shape)} and {tuple(adversarial.shape)}."
        )
    height, width = clean.shape[2:]
    if min(height, width) < smallest:
        raise ValueError(
            f"{name} needs images of at least {smallest}×{smallest} pixels, got {height}×{width}. "
            f"Leave it out of the metrics."
        )


def gaussian_mean(values: Tensor, size: int, sigma: float) -> Tensor:
    """Weigh every window with a Gaussian whose weights sum to 1.

    The window is separable, and slices are added up: in float64 that is an order of magnitude
    faster on a CPU than a convolution.

    Args:
        values: (N, C, H, W).
        size: side of the window in pixels, odd.
        sigma: of the Gaussian in pixels.

    Returns:
        (N, C, H − size + 1, W − size + 1).
    """
    offset = torch.arange(size, dtype=values.dtype) - size // 2
    gaussian = torch.exp(-(offset**2) / (2 * sigma**2))
    weights = (gaussian / gaussian.sum()).tolist()
    for axis in (-2, -1):
        length = values.shape[axis] - size + 1
        values = sum(
            (weight * values.narrow(axis, start, length) for start, weight in enumerate(weights)),
            start=torch.zeros((), dtype=values.dtype, device=values.device),
        )
    return values


def box_sum(values: Tensor, size: int) -> Tensor:
    """Sum over every square window, by an integral image: exact for whole numbers.

    Args:
        values: (N, C, H, W) float64, whole numbers whose total is below 2⁵³.
        size: side of the window in pixels.

    Returns:
        (N, C, H − size + 1, W − size + 1).
    """
    total = F.pad(values.cumsum(-1).cumsum(-2), (1, 0, 1, 0))
    rows = total[..., size:, :] - total[..., :-size, :]
    return rows[..., size:] - rows[..., :-size]

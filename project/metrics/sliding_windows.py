"""Grey levels, and means and sums over sliding windows, the building blocks of most metrics.

Convention
    levels    (N, C, H, W) int32, 0 … 255
    windows   those inside the image only; one value per place of the window
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_VALUES = 2**19  # values of the images compared at a time: more do not fit a CPU's cache in float64


def eight_bit(images: Tensor) -> Tensor:
    """Round images in [0, 1] to grey levels, (N, 3, H, W) int32 in 0 … 255."""
    return (images * 255).round().int()


def in_parts(images: Tensor) -> tuple[Tensor, ...]:
    """Split a batch (N, …) into parts that fit a CPU's cache, at least one image each.

    The size follows from the images' shape alone, so that the numbers do not depend on the machine.
    """
    size = max(1, _VALUES // images.shape[1:].numel())
    return images.tensor_split(list(range(size, len(images), size)))


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


def gaussian_mean(values: Tensor, size: int, sigma: float, stride: int = 1) -> Tensor:
    """Return the Gaussian-weighted mean of every window.

    Args:
        values: (N, C, H, W) of floats.
        size: side of the window in pixels, odd.
        sigma: standard deviation of the Gaussian in pixels.
        stride: pixels from a window to the next one.

    Returns:
        (N, C, H', W'), H' = (H − size) // stride + 1.
    """
    offset = torch.arange(size, dtype=values.dtype) - size // 2
    gaussian = torch.exp(-(offset**2) / (2 * sigma**2))
    return _weighted(values, (gaussian / gaussian.sum()).tolist(), stride)


def box_sum(values: Tensor, size: int) -> Tensor:
    """Return the sum over every square window, exact for integers within the type's range.

    Args:
        values: (N, C, H, W).
        size: side of the window in pixels.

    Returns:
        (N, C, H − size + 1, W − size + 1).
    """
    return _weighted(values, [1] * size)


def _weighted(values: Tensor, weights: Sequence[float], stride: int = 1) -> Tensor:
    """Return the weighted sum of every window, one axis after the other.

    Shifted images are added up in place: in float64 that is several times faster on a CPU than a
    convolution, which few libraries tune for that type.
    """
    for axis in (-2, -1):
        windows = values.unfold(axis, len(weights), stride)
        values = windows[..., 0] * weights[0]
        for place, weight in enumerate(weights[1:], start=1):
            values.add_(windows[..., place], alpha=weight)
    return values

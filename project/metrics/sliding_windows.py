"""Grey levels, and means and sums over sliding windows, the building blocks of most metrics.

Convention
    levels    (N, C, H, W) int32, 0 … 255
    windows   those inside the image only; one value per place of the window
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import torch
from torch import Tensor

_VALUES = 2**18  # values of the images compared at a time: more do not fit a CPU's cache in float64
_BLOCK = 32  # windows along an axis that one matrix product makes


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


def gaussian_means(
    images: Sequence[Tensor], size: int, sigma: float, stride: int = 1
) -> tuple[Tensor, ...]:
    """Return the Gaussian-weighted mean of every window, in float64: variances cancel.

    Along each axis, a block of windows is the product of a band matrix with the pixels below the
    block. It multiplies by zeros too, and yet takes a third of the time of adding up ``size``
    shifted images, which the memory bounds; a convolution in float64 is slower than either.

    Args:
        images: one or several (N, C, H, W) of one type, integers or float64. Together they take
            less time.
        size: side of the window in pixels, odd.
        sigma: standard deviation of the Gaussian in pixels.
        stride: pixels from a window to the next one.

    Returns:
        (N, C, H', W') for each, H' = (H − size) // stride + 1, with the rows of all of them side by
        side in memory.
    """
    # The height comes first, so that along either axis all images are one matrix.
    rows = torch.cat([values.permute(2, 0, 1, 3) for values in images], 1).double()
    height, *planes, width = rows.shape
    down, across = ((side - size) // stride + 1 for side in (height, width))
    band = _gaussian_band(size, sigma, stride, rows.device)
    fewer = rows.new_empty(down, *planes, width)
    means = rows.new_empty(down, *planes, across)
    _multiply(rows.flatten(1).mT, band, stride, fewer.flatten(1).mT)
    _multiply(fewer.flatten(0, 2), band, stride, means.flatten(0, 2))
    return means.permute(1, 2, 0, 3).chunk(len(images))


def _multiply(values: Tensor, band: Tensor, stride: int, out: Tensor) -> None:
    """Write the weighted sums of windows along the last axis of a matrix into another one."""
    excess = len(band) - (_BLOCK - 1) * stride  # pixels of a window
    for start in range(0, out.shape[1], _BLOCK):
        windows = min(_BLOCK, out.shape[1] - start)
        pixels = (windows - 1) * stride + excess
        below = values[:, start * stride : start * stride + pixels]
        torch.mm(below, band[:pixels, :windows], out=out[:, start : start + windows])


@cache
def _gaussian_band(size: int, sigma: float, stride: int, device: torch.device) -> Tensor:
    """Return the weights of a block's pixels (rows) in its windows (columns), 0 outside them."""
    offset = torch.arange(size, dtype=torch.float64) - size // 2
    gaussian = torch.exp(-(offset**2) / (2 * sigma**2))
    band = offset.new_zeros((_BLOCK - 1) * stride + size, _BLOCK)
    for window in range(_BLOCK):
        band[window * stride : window * stride + size, window] = gaussian / gaussian.sum()
    return band.to(device)


def box_sum(values: Tensor, size: int) -> Tensor:
    """Return the sum over every square window, exact for integers within the type's range.

    Args:
        values: (N, C, H, W).
        size: side of the window in pixels.

    Returns:
        (N, C, H − size + 1, W − size + 1).
    """
    return _run_sum(_run_sum(values, size, -2), size, -1)


def _run_sum(values: Tensor, size: int, axis: int) -> Tensor:
    """Return the sums of ``size`` neighbours along an axis, each made of two runs of half of it."""
    if size == 1:
        return values
    half, count = size // 2, values.shape[axis] - size + 1
    halves = _run_sum(values, half, axis)
    sums = halves.narrow(axis, 0, count) + halves.narrow(axis, half, count)
    return sums.add_(values.narrow(axis, size - 1, count)) if size % 2 else sums

"""Eight bits: what an image file can hold."""

from __future__ import annotations

from torch import Tensor


def to_8bit(images: Tensor) -> Tensor:
    """Round images to the nearest k/255, bit for bit what ``uint8 / 255`` gives when read back.

    Args:
        images: any shape, in [0, 1].

    Returns:
        The same shape, every value one of 256.
    """
    return from_levels_(images.mul(255).round_().clamp_(0, 255))


def from_levels_(levels: Tensor) -> Tensor:
    """Turn levels 0 … 255 into values k/255, in place.

    On CUDA, dividing by a Python number multiplies by its reciprocal, which misses k/255 by a bit.
    """
    return levels.div_(levels.new_full((), 255))

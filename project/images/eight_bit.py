"""Rounding to 8 bits, as image files do, and gradients through rounding and clipping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

Levels = NDArray[np.uint8]


def to_8bit(images: Tensor) -> Tensor:
    """Round images to the nearest k/255, bit for bit as ``uint8 / 255`` when read back from a file.

    Args:
        images: any shape, in [0, 1].

    Returns:
        The same shape, every value one of 256.
    """
    return from_levels_(images.mul(255).round_().clamp_(0, 255))


def from_levels_(levels: Tensor) -> Tensor:
    """Turn levels 0 … 255 into values k/255, in place.

    On CUDA, dividing by a Python number multiplies by its reciprocal, which misses k/255 by a bit;
    so the divisor is a tensor.
    """
    return levels.div_(levels.new_full((), 255))


def to_levels(values: Tensor) -> Tensor:
    """Return the nearest level 0 … 255 of each value in [0, 1], uint8 of the same shape.

    On a CPU OpenCV does it in one pass over memory, a sixth of torch's time.
    """
    if not _is_plain(values, torch.float32):
        return values.mul(255).round_().to(torch.uint8)
    rows = values.detach().contiguous().numpy().reshape(1, -1)
    return torch.from_numpy(cv2.convertScaleAbs(rows, alpha=255)).view(values.shape)


def from_levels(levels: Tensor) -> Tensor:
    """Return levels, uint8 of any shape, as float32 values k/255."""
    if not _is_plain(levels, torch.uint8):
        return from_levels_(levels.float())
    rows = levels.contiguous().numpy().reshape(1, -1)
    return torch.from_numpy(cv2.LUT(rows, _VALUES)).view(levels.shape)


def channels_first(pictures: Sequence[Levels]) -> Levels:
    """Return pictures (H, W, C) of one size as one array, (N, C, H, W)."""
    height, width, channels = pictures[0].shape
    stacked = np.empty((len(pictures), channels, height, width), np.uint8)
    for planes, picture in zip(stacked, pictures, strict=True):
        cv2.split(picture, list(planes))  # numpy copies value by value
    return stacked


def channels_last(planes: Levels) -> Levels:
    """Return planes (C, H, W) as a picture, (H, W, C)."""
    picture: Levels = cv2.merge(list(planes)).astype(np.uint8, copy=False)
    return picture.reshape(*planes.shape[1:], -1)  # one channel has no axis of its own so far


def off_levels(values: Tensor) -> Tensor:
    """Return how far the farthest of some values in [0, 1] is from its nearest level, in levels."""
    if not _is_plain(values, torch.float32):
        levels = values * 255
        return levels.sub_(levels.round()).abs_().amax()
    nearest = from_levels(to_levels(values))
    row, other = (one.detach().contiguous().numpy().reshape(1, -1) for one in (values, nearest))
    return torch.tensor(255 * cv2.norm(row, other, cv2.NORM_INF))


def _is_plain(values: Tensor, dtype: torch.dtype) -> bool:
    """Return whether OpenCV can take a tensor's memory."""
    return values.device.type == "cpu" and values.dtype == dtype and values.numel() > 0


_VALUES = (np.arange(256, dtype=np.float32) / np.float32(255)).reshape(1, 256)


def clip(values: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Clip to [low, high]; the gradient passes inside and on the bounds, and is 0 outside.

    On the bounds, torch's own ``clamp`` has gradient 0 in version 2.14 (1 in older ones): an attack
    would never move a black or a white pixel, however much that would raise its objective.

    Args:
        values: of any shape.
        low: the smallest value.
        high: the greatest value.
    """
    if not values.requires_grad:
        return values.clamp(low, high)
    clipped: Tensor = _Clipping.apply(values, low, high)
    return clipped


class _Clipping(Function):
    """Clipping that saves only a bool mask of the unclipped values for the backward pass."""

    @staticmethod
    def forward(context: Any, values: Tensor, low: float, high: float) -> Tensor:
        """Return the clipped values."""
        cut = values.clamp(low, high)
        # A value exactly on a bound equals its clipped self, so its gradient passes.
        context.save_for_backward(values == cut)
        return cut

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient where nothing was clipped, 0 elsewhere."""
        (inside,) = context.saved_tensors
        return torch.where(inside, gradient, 0), None, None


def as_saved(images: Tensor, perturbation: Tensor) -> Tensor:
    """Return the perturbed images rounded to 8 bits, with the gradient of the unrounded ones.

    So a search for small perturbations sees what survives rounding: less than half a level does
    not.

    Source: [ours], the straight-through estimator.

    Args:
        images: (N, 3, H, W) in [0, 1].
        perturbation: of the same shape; the sum is clipped to [0, 1].
    """
    floats = clip(images + perturbation)
    # The bracket is 0 in value, exactly, and carries the gradient of the unrounded images.
    return to_8bit(floats.detach()) + (floats - floats.detach())

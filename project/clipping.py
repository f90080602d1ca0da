"""Clipping that does not hold on to what lies on a bound."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable


def clip(values: Tensor, low: float = 0.0, high: float = 1.0) -> Tensor:
    """Clip to [low, high]; the gradient passes inside and on the bounds, and is 0 outside.

    On the bounds, torch's own ``clamp`` has gradient 0 in version 2.14 (1 in older ones): an attack
    would never move a black or a white pixel, however much it gains by that.

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
    """Clipping that remembers where nothing was cut, and nothing else."""

    @staticmethod
    def forward(context: Any, values: Tensor, low: float, high: float) -> Tensor:
        """Return the clipped values."""
        cut = values.clamp(low, high)
        context.save_for_backward(values == cut)
        return cut

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        """Return the gradient of what was not cut."""
        (inside,) = context.saved_tensors
        return torch.where(inside, gradient, 0), None, None

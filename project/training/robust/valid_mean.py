"""The mean that robust losses take: over all valid elements of a batch."""

from __future__ import annotations

from torch import Tensor

from project.core.losses import valid_elements


def valid_mean(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the batch's valid elements, as the criteria take it; 0 without any.

    Args:
        values: (N, …), one per element.
        target: of the same shape, which tells what is void.

    Returns:
        Scalar; void elements get gradient 0.
    """
    valid = valid_elements(target)
    return values.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)

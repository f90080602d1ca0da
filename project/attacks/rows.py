"""Rows of a batch, replaced where they are better."""

from __future__ import annotations

import torch
from torch import Tensor


def replaced(old: Tensor, new: Tensor, chosen: Tensor) -> Tensor:
    """Return the new rows where chosen; where all are, which is usual, none is copied.

    The host waits for the device, so this is not for loops that never do.

    Args:
        old: (n, …).
        new: of the same shape and type; not to be changed any more.
        chosen: (n,) bool.
    """
    if bool(chosen.all()):
        return new
    return torch.where(chosen.view(-1, *[1] * (new.ndim - 1)), new, old)

"""Containers of per-image tensors, which are indexed by image as a whole.

Attacks drop finished images from a batch, and with them every tensor about these images. So that no
tensor is forgotten, all per-image state of an algorithm is kept in attributes of one container, and
one line reduces all of them to the remaining images.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

Values = TypeVar("Values")


class PerImage:
    """Base of containers whose tensors all have the images of a batch along their first axis.

    Attributes that hold no tensors (numbers, settings, networks) belong to all images alike and
    are not indexed. A class that holds other tensors as well overrides ``shrink_to``.
    """

    def at(self, rows: Tensor) -> Self:
        """Return a copy for some of the images only.

        Args:
            rows: indices of the images, int64 (n,), or a mask, bool (N,).
        """
        part = copy.copy(self)
        part.shrink_to(rows)
        return part

    def shrink_to(self, rows: Tensor) -> None:
        """Keep only some of the images, in place; ``rows`` as for :meth:`at`."""
        for name, value in vars(self).items():
            # Frozen dataclasses (masked threat models) refuse setattr; ``at`` has copied them.
            object.__setattr__(self, name, rows_of(value, rows))


def rows_of(values: Values, rows: Tensor) -> Values:
    """Return some rows of a tensor, or of every tensor inside a container.

    Args:
        values: a tensor (N, …); a :class:`PerImage`; a dictionary, list or tuple of such. Anything
            else is returned unchanged.
        rows: indices, int64 (n,), or a mask, bool (N,).
    """

    def cut(values: Tensor | PerImage) -> Tensor | PerImage:
        return values.at(rows) if isinstance(values, PerImage) else values[rows.to(values.device)]

    part: Values = _mapped(cut, values, leaves=(Tensor, PerImage))
    return part


def chosen(better: Tensor, new: Values, old: Values) -> Values:
    """Return the new rows where they are better, else the old ones.

    Args:
        better: (N,) bool.
        new: tensors (N, …), or containers of such as for :func:`rows_of`.
        old: tensors or containers of the same structure; of two dictionaries, only the common keys
            are returned.
    """

    def select(new: Tensor, old: Tensor) -> Tensor:
        # Indexing by a mask would make the host wait for the device to count the rows.
        return torch.where(per_image(better, old), new, old)

    kept: Values = _mapped(select, new, old)
    return kept


def put_rows(values: Values, rows: Tensor, new: Values) -> Values:
    """Write new values into some rows, in place, and return the result.

    Args:
        values: tensors (N, …), or containers of such as for :func:`rows_of`.
        rows: indices, int64 (n,).
        new: tensors or containers of the same structure, of n rows.
    """

    def put(values: Tensor, new: Tensor) -> Tensor:
        values[rows.to(values.device)] = new.to(values.dtype)
        return values

    written: Values = _mapped(put, values, new)
    return written


def per_image(factors: Tensor, like: Tensor) -> Tensor:
    """Return per-image factors, (N,), in a shape that broadcasts over ``like``, (N, …)."""
    return factors.view(-1, *[1] * (like.ndim - 1))


def _mapped(
    change: Callable[..., Any], first: Any, *others: Any, leaves: tuple[type, ...] = (Tensor,)
) -> Any:
    """Apply a function to all leaves of one container, or of several of the same structure."""
    if isinstance(first, leaves):
        return change(first, *others)
    if isinstance(first, PerImage):
        changed = copy.copy(first)
        for name, value in vars(first).items():
            same = [getattr(other, name) for other in others]
            object.__setattr__(changed, name, _mapped(change, value, *same, leaves=leaves))
        return changed
    if isinstance(first, Mapping):
        common = [name for name in first if all(name in other for other in others)]
        return {
            name: _mapped(change, first[name], *(other[name] for other in others), leaves=leaves)
            for name in common
        }
    if isinstance(first, list | tuple):
        values = [
            _mapped(change, *each, leaves=leaves) for each in zip(first, *others, strict=True)
        ]
        return type(first)(*values) if hasattr(first, "_fields") else type(first)(values)
    return first

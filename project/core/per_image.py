"""Tensors that belong to the images of a batch, indexed as a whole.

Images leave a batch when they are done with, and what is known of them leaves with them. So that no
tensor is forgotten, whatever an algorithm knows of its images is an attribute of one container, and
one line cuts all of them to the images that stay.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any, Self, TypeVar

import torch
from torch import Tensor

Values = TypeVar("Values")


class PerImage:
    """What is known of each image of a batch: every tensor's first axis counts the images.

    Attributes that hold no tensors (numbers, settings, networks) belong to all images alike and
    stay as they are. A class whose tensors are not all of that kind overrides ``shrink_to``.
    """

    def at(self, rows: Tensor) -> Self:
        """Return the same of some images only.

        Args:
            rows: their places, int64 (n,), or a mask, bool (N,).
        """
        part = copy.copy(self)
        part.shrink_to(rows)
        return part

    def shrink_to(self, rows: Tensor) -> None:
        """Let all other images leave; ``rows`` as for :meth:`at`."""
        for name, value in vars(self).items():
            # Frozen dataclasses are copied by ``at``, and only such copies are changed.
            object.__setattr__(self, name, rows_of(value, rows))


def rows_of(values: Values, rows: Tensor) -> Values:
    """Return the rows of a tensor, or of every tensor inside of a container.

    Args:
        values: a tensor (N, …); a :class:`PerImage`; a dictionary, list or tuple of such. Anything
            else is returned as it is.
        rows: places, int64 (n,), or a mask, bool (N,).
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
        old: the like; of dictionaries, what only one side knows is left out.
    """

    def select(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(per_image(better, old), new, old)

    kept: Values = _mapped(select, new, old)
    return kept


def put_rows(values: Values, rows: Tensor, new: Values) -> Values:
    """Return the values with new ones at some rows, which are written in place.

    Args:
        values: tensors (N, …), or containers of such as for :func:`rows_of`.
        rows: places, int64 (n,).
        new: the like, of n rows.
    """

    def put(values: Tensor, new: Tensor) -> Tensor:
        values[rows.to(values.device)] = new.to(values.dtype)
        return values

    written: Values = _mapped(put, values, new)
    return written


def per_image(factors: Tensor, like: Tensor) -> Tensor:
    """Return one value for each image, (N,), in a shape that broadcasts over (N, …)."""
    return factors.view(-1, *[1] * (like.ndim - 1))


def _mapped(
    change: Callable[..., Any], first: Any, *others: Any, leaves: tuple[type, ...] = (Tensor,)
) -> Any:
    """Return the change of all leaves inside of one container, or of several alike."""
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

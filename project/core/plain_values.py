"""Plain values, arrays and containers of them as text that tells one from another."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Any

import numpy as np
import torch

from project.core.arrays import array_told, tensor_told
from project.core.contents import told_path, told_text

LEFT_OUT = "left out"
"""What is said of None, empty containers, dictionaries of arrays, and whatever is not plain."""

_BY_REPR = (bool, int, float, complex, bytes, torch.dtype, torch.device)
_CONTAINERS = (tuple, list, set, frozenset, dict)


def plain(value: Any) -> str:
    """Return what tells a value, at any depth, and else :data:`LEFT_OUT`.

    Raises:
        UndescribableError: if a tensor in it is not dense.
    """
    if isinstance(value, enum.Enum):
        return f"{type(value).__qualname__}.{value.name} {plain(value.value)}"
    if type(value) is str:
        return repr(told_text(value))
    if isinstance(value, Path):
        return repr(told_path(value))
    if isinstance(value, _BY_REPR):
        return repr(value)
    if isinstance(value, torch.Tensor):
        return repr(tensor_told(value))
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return plain(array.tolist()) if array.dtype.hasobject else repr(array_told(array))
    return _container(value)


def _container(value: Any) -> str:
    kind = next((one for one in _CONTAINERS if isinstance(value, one)), None)
    if kind is None or not value:
        return LEFT_OUT
    if kind is dict and any(isinstance(one, np.ndarray | torch.Tensor) for one in value.values()):
        return LEFT_OUT
    parts = [*value.items()] if kind is dict else [*value]
    told = ["None" if part is None else plain(part) for part in parts]
    if LEFT_OUT in told:
        return LEFT_OUT
    return f"{kind.__name__} {sorted(told) if kind in (set, frozenset) else told}"

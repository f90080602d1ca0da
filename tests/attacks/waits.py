"""Where the host would wait for a device."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

DEVICE = torch.device("meta")
"""Stands for a GPU: its tensors have no values, so nobody can look at one without waiting."""

_LOOKS = {"_local_scalar_dense", "is_nonzero", "equal", "nonzero", "masked_select"}
_CONSTANTS = {"tensor", "as_tensor", "new_tensor"}


@contextmanager
def waits() -> Iterator[list[str]]:
    """Collect the names of what would make the host wait, were ``DEVICE`` a GPU."""
    found: list[str] = []
    with _Constants(found), _Operations(found):
        yield found


class _Operations(TorchDispatchMode):
    """Looks at values, and copies from one device to another."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if _waits(func.overloadpacket.__name__, args, kwargs or {}):
            self.found.append(str(func))
        return func(*args, **(kwargs or {}))


class _Constants(TorchFunctionMode):
    """Numbers made into tensors there: made here, and copied."""

    def __init__(self, found: list[str]) -> None:
        super().__init__()
        self.found = found

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        if getattr(func, "__name__", "") in _CONSTANTS and made.device == DEVICE:
            self.found.append(func.__name__)
        return made


def _waits(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    devices = {leaf.device for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)}
    if name in ("_to_copy", "copy_"):
        devices |= {kwargs["device"]} if kwargs.get("device") else set()
        patient = kwargs.get("non_blocking") or (name == "copy_" and True in args[2:])
        return len(devices) > 1 and not patient
    if DEVICE not in devices:
        return False  # the host's own affair
    if name.startswith("index"):
        places = [leaf for leaf in tree_leaves(args[1]) if isinstance(leaf, Tensor)]
        return any(place.dtype == torch.bool or place.device != DEVICE for place in places)
    return name in _LOOKS

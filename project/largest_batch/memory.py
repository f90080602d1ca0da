"""How much memory a piece of work takes for its tensors."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Work = Callable[[], object]
Peak = Callable[[int], float]
"""From a number of samples to the bytes that work on them takes at most."""


def peak_bytes(work: Work, device: torch.device) -> int:
    """Return the most bytes that work holds at one time on top of what was there before.

    On a GPU its allocator tells, on a CPU the tensors are counted as operations make them: there
    what an operation needs inside for a moment, such as a convolution's rearranged weights, is left
    out.
    """
    if device.type == "cpu":
        with TensorBytes() as counted:
            work()
        return int(counted.peak)
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return int(torch.cuda.max_memory_allocated(device)) - before


def peaks(work: Callable[[int], object], device: torch.device) -> Peak:
    """Return how much memory work takes, by the number of samples it is done on.

    On a GPU by doing it: infinite where the memory there does not suffice. On a CPU by doing it on
    one sample and on two: each further one adds what the second does.
    """
    if device.type == "cpu":
        one, two = (peak_bytes(partial(work, count), device) for count in (1, 2))
        return lambda count: one + (count - 1) * (two - one)

    def tried(count: int) -> float:
        try:
            return peak_bytes(partial(work, count), device)
        except torch.OutOfMemoryError:
            return float("inf")
        finally:
            torch.cuda.empty_cache()

    return cache(tried)


class TensorBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Count the bytes of tensors that were made inside this context and are still alive.

    Memory that several tensors share counts once; what was there before counts nothing.

    Attributes:
        now: bytes alive.
        peak: the most that ever were.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self._alive: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Run an operation and count what it made."""
        known = _storages((args, kwargs))
        result = func(*args, **(kwargs or {}))
        for place, storage in _storages(result).items():
            if place not in known and place not in self._alive:
                self._count(place, storage)
        return result

    def _count(self, place: int, storage: torch.UntypedStorage) -> None:
        size = storage.nbytes()
        self._alive.add(place)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, place, size).atexit = False

    def _free(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self.now -= size


def _storages(values: object) -> dict[int, torch.UntypedStorage]:
    """Return the memory of all tensors among nested values, by where it is."""
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage._cdata: storage for storage in storages}

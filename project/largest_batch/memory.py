"""Measuring the peak memory of a computation's tensors."""

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
"""Maps a number of samples to the peak memory in bytes of the work on them."""


def peak_bytes(work: Work, device: torch.device) -> int:
    """Return the peak memory of work in bytes, on top of the memory in use before.

    On a GPU from its allocator's statistics; on a CPU tensors are counted as operations make them,
    which leaves out an operation's temporary workspace, such as a convolution's rearranged weights.
    """
    if device.type == "cpu":
        with TensorBytes() as counted:
            work()
        return int(counted.peak)
    # Before the first tensor there is nothing to reset, which is an error.
    torch.cuda.init()  # type: ignore[no-untyped-call]
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return int(torch.cuda.max_memory_allocated(device)) - before


def peaks(work: Callable[[int], object], device: torch.device) -> Peak:
    """Return the peak memory of work as a function of the number of samples.

    On a GPU it is measured: infinite where the device's memory does not suffice. On a CPU it is
    extrapolated from one sample and two: each further one adds what the second does.
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
    """Counts the bytes of live tensors that were made inside this context.

    Memory that several tensors share counts once; tensors from before are not counted.

    Attributes:
        now: bytes alive now.
        peak: the most bytes alive at any time.
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
        """Run an operation, and count the tensors that it made."""
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
        # Called when the last tensor on this storage is freed.
        weakref.finalize(storage, self._free, place, size).atexit = False

    def _free(self, place: int, size: int) -> None:
        self._alive.discard(place)
        self.now -= size


def _storages(values: object) -> dict[int, torch.UntypedStorage]:
    """Return the storages of all tensors among nested values, by their address."""
    tensors = [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]
    storages = [tensor.untyped_storage() for tensor in tensors]
    return {storage._cdata: storage for storage in storages}

"""A cache of tensors without eviction."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Any

from torch import Tensor


class Cache:
    """Caches entries until the memory is full; those that do not fit are recomputed each time.

    Nothing is evicted: passes over the data ask for the same entries in the same order, and under
    cyclic access LRU would drop each entry just before its next use.

    Args:
        room: bytes for the entries, on whichever device their tensors are.
    """

    def __init__(self, room: int) -> None:
        self.room = room
        self._kept: dict[Hashable, Any] = {}

    def get(self, key: Hashable, make: Callable[[], Any]) -> Any:
        """Return the cached entry of a key, or compute it and cache it if it fits.

        Args:
            key: identifies the entry.
            make: computes the entry: a tensor, or tensors in lists and tuples.
        """
        if key in self._kept:
            return self._kept[key]
        made = make()
        size = _bytes(made)
        if size <= self.room:
            self._kept[key] = made
            self.room -= size
        return made


def _bytes(thing: Tensor | Iterable[Any]) -> int:
    """Return the memory of tensors in bytes; tensors that share a storage count once."""
    storages = {tensor.untyped_storage() for tensor in _tensors(thing)}
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _tensors(thing: Tensor | Iterable[Any]) -> Iterator[Tensor]:
    if isinstance(thing, Tensor):
        yield thing
    else:
        for part in thing:
            yield from _tensors(part)

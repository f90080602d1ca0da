"""Millions of short texts in two blocks of memory, which forked processes share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import overload

import numpy as np
from numpy.typing import NDArray


class Texts(Sequence[str]):
    """Texts that are kept as UTF-8, one behind the other.

    A list of strings costs 60 bytes more for each, and each process that reads one copies the
    memory's page around it, since Python counts references there.

    Args:
        joined: all texts, without anything between them.
        ends: (N,) int64, where each ends.
    """

    def __init__(self, joined: bytes, ends: NDArray[np.int64]) -> None:
        self.joined = joined
        self.ends = ends

    @classmethod
    def of(cls, texts: Iterable[str]) -> Texts:
        """Pack texts."""
        pieces = [text.encode() for text in texts]
        lengths = np.fromiter(map(len, pieces), np.int64, len(pieces))
        return cls(b"".join(pieces), np.cumsum(lengths))

    @classmethod
    def chained(cls, parts: Sequence[Texts]) -> Texts:
        """Put texts behind each other."""
        starts = np.cumsum([0, *(len(part.joined) for part in parts)])
        ends = [part.ends + start for part, start in zip(parts, starts, strict=False)]
        joined = b"".join(part.joined for part in parts)
        return cls(joined, np.concatenate([np.zeros(0, np.int64), *ends]))

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Texts: ...

    def __getitem__(self, place: int | slice) -> str | Texts:
        if isinstance(place, slice):
            return Texts.of(self[one] for one in range(*place.indices(len(self))))
        return self._piece(range(len(self))[place]).decode()  # a range knows negative places

    def __iter__(self) -> Iterator[str]:
        return (self[place] for place in range(len(self)))

    def repeated(self) -> tuple[int, int] | None:
        """Return the places of the first text that occurs again, None if all are unique."""
        hashes = np.fromiter((hash(self._piece(k)) for k in range(len(self))), np.int64, len(self))
        order = np.argsort(hashes, kind="stable")  # a set of all would cost 100 bytes for each
        alike = np.flatnonzero(np.diff(hashes[order]) == 0)
        pairs = sorted((int(order[k]), int(order[k + 1])) for k in alike)
        return next((pair for pair in pairs if self[pair[0]] == self[pair[1]]), None)

    def _piece(self, place: int) -> bytes:
        return self.joined[0 if place == 0 else self.ends[place - 1] : self.ends[place]]

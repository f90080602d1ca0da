"""What sample sets ask of shards, whatever kind they are."""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.core.errors import InputError
from project.data.decoding import SampleError
from project.data.shards.texts import Texts

Stamp = tuple[int, int]
"""Size and time of change of a shard, in bytes and nanoseconds."""

Numbers = NDArray[np.int64]


class SampleShards(ABC):
    """Samples in shards, by index: in the order of the shards, and within them as they lie there.

    Nothing is kept open: each process, forked or not, opens a shard when it reads from it.

    Args:
        root: folder that the shards are relative to.
        shards: their paths.
        stamps: what they were when they were listed.
        counts: the number of samples of each.

    Attributes:
        names: the samples' names, all different.
        labels: (N,) int64, their classes as they are stored; empty where they have masks.
        faults: why samples cannot be used, by index.
    """

    names: Texts
    labels: Numbers
    faults: Mapping[int, str]

    def __init__(
        self, root: Path, shards: Sequence[str], stamps: Sequence[Stamp], counts: Sequence[int]
    ) -> None:
        self.root = root
        self.shards = tuple(shards)
        self.stamps = tuple(stamps)
        self.starts: Numbers = np.cumsum([0, *counts])

    @abstractmethod
    def encoded(self, index: int) -> tuple[bytes, ...]:
        """Return a sample's encoded photo, and its mask where it has one.

        Raises:
            SampleError: if they cannot be read, or the shard is not what it was.
        """

    @abstractmethod
    def where(self, index: int) -> str:
        """Return a sample's shard and its place in it."""

    @abstractmethod
    def content(self) -> list[Any]:
        """Return as plain data what tells these samples from others."""

    def place(self, index: int) -> tuple[int, int]:
        """Return the number of a sample's shard, and the sample's number in it."""
        shard = int(np.searchsorted(self.starts, index, "right")) - 1
        return shard, index - int(self.starts[shard])

    def state(self, index: int) -> Stamp:
        """Return what a sample's shard is now: the same object, as long as it is what it was."""
        shard, _ = self.place(index)
        known = self.stamps[shard]
        try:
            found = stamp_of(os.stat(self.root / self.shards[shard]))
        except OSError:
            return -1, -1
        return known if found == known else found

    def require_same(self, shard: int, state: os.stat_result) -> None:
        """Check that a shard is what it was when it was listed.

        Raises:
            SampleError: if its size or its time of change is another.
        """
        if stamp_of(state) != self.stamps[shard]:
            raise SampleError("its shard has changed since it was listed")


def hashed(*parts: bytes | Numbers) -> list[str]:
    """Return a hash of each of some bytes and arrays."""
    whole = (part if isinstance(part, bytes) else part.tobytes() for part in parts)
    return [hashlib.sha256(part).hexdigest() for part in whole]


def stamp_of(state: os.stat_result) -> Stamp:
    """Return size and time of change of a file."""
    return state.st_size, state.st_mtime_ns


def stat_shard(path: Path) -> Stamp:
    """Return what a shard is now.

    Raises:
        InputError: naming a shard that cannot be read.
    """
    try:
        return stamp_of(path.stat())
    except OSError as error:
        raise InputError(f"{path}: the shard cannot be read: {error.strerror}.") from error

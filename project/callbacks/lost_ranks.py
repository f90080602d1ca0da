"""Ending with a process of the run that is gone, whoever started them."""

from __future__ import annotations

import itertools
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import lightning as L
import torch.distributed as dist

from project.core.errors import InputError

_LEFT = b"left"  # instead of a beat: this rank has done its part
_WATCHES = itertools.count()  # of this process so far; the same on every rank


class LostRanks(L.Callback):
    """Ends a rank when another one has died, and lets it wait for one that lives.

    A rank that waits in a collective cannot tell a rank that works from one that is gone. By
    torch's own means it waits for a fixed time, after which it fails though the other may only be
    busy; and where the other end of a connection hangs, or with NCCL, it waits for that long. So
    each rank beats in the key-value store of the process group, from a thread of its own, and ends
    with status 1 when it has heard no beat of another for ``lost_after`` seconds. Lightning and
    torchrun end the others themselves, mostly sooner.

    Args:
        lost_after: seconds without a beat after which a rank is taken for dead.
        wait: the longest that a collective waits for ranks that live, in seconds.

    Raises:
        InputError: if a number is too small.
    """

    def __init__(self, lost_after: float = 60.0, wait: float = 7 * 24 * 3600.0) -> None:
        if lost_after < 1 or wait < lost_after:
            raise InputError(
                "lost_after must be at least 1 second, and wait no less than that, got "
                f"{lost_after}, {wait}."
            )
        self.lost_after = lost_after
        self.wait = wait
        self._watch: RankWatch | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Begin to beat and to listen, where there are several ranks."""
        if self._watch is None and dist.is_available() and dist.is_initialized():
            self._watch = RankWatch(self.lost_after)
            self._watch.start()

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Tell the others that this rank has done its part."""
        if self._watch is not None:
            self._watch.leave()
            self._watch = None


class RankWatch(threading.Thread):
    """The beats of one rank, and its ear for those of the others; needs a process group.

    Args:
        lost_after: seconds.
        end: is called with what is to be said when a rank is lost.
    """

    def __init__(self, lost_after: float, end: Callable[[str], None] | None = None) -> None:
        super().__init__(daemon=True)
        self.lost_after = lost_after
        self.end = end or _end
        self.rank = dist.get_rank()
        self._pause = min(1.0, lost_after / 10)  # between two beats
        self._left = threading.Event()
        # A connection of its own: the group's may be in use by a rank that waits.
        self._store: Any = dist.distributed_c10d._get_default_store().clone()
        self._store.set_timeout(timedelta(seconds=lost_after))
        self._prefix = f"mirage/alive/{next(_WATCHES)}"
        others = [rank for rank in range(dist.get_world_size()) if rank != self.rank]
        self._heard: dict[int, tuple[bytes, float]] = {
            rank: (b"", time.monotonic()) for rank in others
        }

    def run(self) -> None:
        """Beat and listen until this rank has done its part, or another one is lost."""
        beat = 0
        while not self._left.wait(self._pause):
            beat += 1
            self._say(str(beat).encode())
            self._listen()
            lost = self._lost()
            if lost and not self._left.is_set():
                self.end(
                    f"process {', '.join(map(str, lost))} of this run has not been heard of for "
                    f"{self.lost_after:g} s: it was killed, or its machine or network is gone. "
                    "This one ends too. What is stored is not lost: run the same command."
                )
                return

    def leave(self) -> None:
        """Say that this rank has done its part, and end."""
        self._left.set()
        self.join()
        self._say(_LEFT)
        # The store mostly ends with the first rank, so that one stays until all have heard it.
        until = time.monotonic() + 3 * self._pause
        while self.rank == 0 and time.monotonic() < until and self._others_work():
            time.sleep(self._pause / 20)

    def _others_work(self) -> bool:
        self._listen()
        return any(last != _LEFT for last, _ in self._heard.values())

    def _say(self, beat: bytes) -> None:
        self._try(lambda: self._store.set(self._key(self.rank), beat))

    def _listen(self) -> None:
        now = time.monotonic()
        for rank, (last, _) in self._heard.items():
            beat = self._try(partial(self._beat, rank))
            if last == _LEFT or (beat and beat != last):
                self._heard[rank] = beat or last, now

    def _beat(self, rank: int) -> bytes:
        key = self._key(rank)
        return bytes(self._store.get(key)) if self._store.check([key]) else b""

    def _lost(self) -> list[int]:
        """Return the ranks that were heard and are silent now; the others may be on their way."""
        now = time.monotonic()
        return [
            rank
            for rank, (last, when) in self._heard.items()
            if last not in (b"", _LEFT) and now - when > self.lost_after
        ]

    def _key(self, rank: int) -> str:
        return f"{self._prefix}/{rank}"

    @staticmethod
    def _try(work: Callable[[], Any]) -> Any:
        try:
            return work()
        except RuntimeError:  # the store's server is gone, with the rank that has it
            return None


def _end(told: str) -> None:
    print(f"error: {told}", file=sys.stderr, flush=True)
    os._exit(1)  # the main thread may be blocked in a collective, where no exception reaches it

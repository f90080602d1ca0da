"""Batches that worker processes load, and one error for each way of losing such a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from project.data.batch import Batch


class WatchedLoader(DataLoader[Batch]):
    """A loader that tells of a lost worker wherever torch does not.

    torch raises ``RuntimeError: DataLoader worker (pid …) …`` once it sees that a worker is dead.
    One that is killed while it hands a batch over is not dead yet when the connection to it
    breaks, and what comes out then is a ``ConnectionResetError`` or ``EOFError`` that names no
    worker. Here it is the same error in all cases.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        return _watched(batches) if self.num_workers else batches


def _watched(batches: Iterator[Any]) -> Iterator[Batch]:
    try:
        yield from batches
    except (OSError, EOFError) as error:
        if "in DataLoader worker process" in str(error):  # what reading a sample has raised there
            raise
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"DataLoader worker (pid unknown) exited in mid-batch, {reason}"
        ) from error

"""Batches that worker processes load, and one error for each way of losing such a process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from torch.utils.data import DataLoader

from project.core.errors import InputError
from project.data.batch import Batch


class WatchedLoader(DataLoader[Batch]):
    """A loader that tells of a lost worker wherever torch does not, and of bad input in one line.

    torch raises ``RuntimeError: DataLoader worker (pid …) …`` once it sees that a worker is dead.
    One that is killed while it hands a batch over is not dead yet when the connection to it
    breaks, and what comes out then is a ``ConnectionResetError`` or ``EOFError`` that names no
    worker. Here it is the same error in all cases.

    An error that a worker meets comes with the worker's traceback for a message; where the input is
    at fault, the message is all there is to say.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        return _watched(batches) if self.num_workers else batches


def _watched(batches: Iterator[Any]) -> Iterator[Batch]:
    try:
        yield from batches
    except InputError as error:
        reason = str(error).rpartition(f"{type(error).__qualname__}: ")[2]
        raise type(error)(reason.strip()) from None
    except (OSError, EOFError) as error:
        if "in DataLoader worker process" in str(error):  # what reading a sample has raised there
            raise
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"DataLoader worker (pid unknown) exited in mid-batch, {reason}"
        ) from error

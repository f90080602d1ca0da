"""Locks between processes: what two must not do at the same time, the second is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.core.errors import InputError

try:
    import fcntl
except ImportError:  # Windows has another way; there, two processes are not kept apart
    fcntl = None  # type: ignore[assignment]


@contextmanager
def alone(path: Path, told: str) -> Iterator[None]:
    """Hold a lock; the system gives it back when this process ends, however it ends.

    Args:
        path: of the lock's file, made where it is missing. It stays, since whoever removes it might
            remove it under another process that has just opened it.
        told: the error's message where another process holds the lock.

    Raises:
        InputError: if another process holds it, or the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise InputError(
            f"could not write {path}: {error.strerror}. Make the folder writable, or copy it to "
            "where it is."
        ) from error
    try:
        if fcntl is not None:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise InputError(told) from error
            except OSError:  # a file system without locks
                pass
        yield
    finally:
        os.close(descriptor)

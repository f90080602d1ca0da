"""Locks between processes: of two that must not do the same at once, one is refused or waits.

A lock is the system's on a file (POSIX ``fcntl``, the standard library's). It ends with the process
that holds it, however that ends: one that was killed leaves none. Children do not inherit it, and
network disks (NFS since version 4, Lustre) keep it for all machines. A folder that a run writes
into is locked by a file in it; of several ranks of one run only the first takes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from project.core.errors import InputError
from project.storage import layout
from project.storage.files import WriteError

try:
    import fcntl
except ImportError:  # Windows has another way; there, two processes are not kept apart
    fcntl = None  # type: ignore[assignment]

_TAKEN = (errno.EACCES, errno.EAGAIN)  # systems differ in which it is
_HELD: dict[Path, int] = {}  # the open files that this process has locked
_MADE: set[Path] = set()  # those whose folder was made for the lock

Refusal = Callable[[str], str]
"""What a second process is told, from what the first one said of itself."""


class LockedError(InputError):
    """Another process holds the lock."""


def lock(folder: Path) -> bool:
    """Take the lock of a folder that a run writes into, which is made where it is missing.

    Returns:
        Whether it was taken now; otherwise this process had it already.

    Raises:
        LockedError: if another process has it, naming that one.
        WriteError: if nothing can be written there.
    """
    return _take(folder.resolve() / layout.LOCK, _refusal(folder.resolve()))


def unlock(folder: Path) -> None:
    """Give back the lock of a folder, if this process has it.

    A folder that was made for the lock and is empty, as after a refusal, goes with it.
    """
    _give_back(folder.resolve() / layout.LOCK)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; see :func:`lock`."""
    with alone(folder / layout.LOCK, _refusal(folder.resolve())):
        yield


@contextmanager
def alone(path: Path, refusal: Refusal | None) -> Iterator[None]:
    """Hold the lock of a file of that name, which is there for nothing else.

    Args:
        path: of the lock's file.
        refusal: None waits until the other process has ended.

    Raises:
        LockedError: if another process holds it.
        WriteError: if nothing can be written there.
    """
    taken = _take(path.resolve(), refusal)
    try:
        yield
    finally:
        if taken:
            _give_back(path.resolve())


def _refusal(folder: Path) -> Refusal:
    return lambda holder: (
        f"only one run may write into {folder} at a time, and {holder} does. Wait until it has "
        "ended, or name another folder."
    )


def _take(path: Path, refusal: Refusal | None) -> bool:
    if path in _HELD:
        return False
    if not path.parent.exists():
        _MADE.add(path)
    while True:
        descriptor = _opened(path)
        if not _locked(descriptor, path, refusal):
            os.close(descriptor)
            return False
        if _is_at(descriptor, path):
            break
        os.close(descriptor)  # its holder has removed it since it was opened: take the new one
    told = f"process {os.getpid()} on {socket.gethostname()} ({shlex.join(sys.argv)})"
    os.ftruncate(descriptor, 0)
    os.write(descriptor, told.encode())
    _HELD[path] = descriptor
    return True


def _give_back(path: Path) -> None:
    descriptor = _HELD.pop(path, None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # while it is still held, so that it is nobody else's
            if path in _MADE:
                path.parent.rmdir()  # an error unless it is empty
        _MADE.discard(path)
        os.close(descriptor)


def _opened(path: Path) -> int:
    try:
        while True:
            path.parent.mkdir(parents=True, exist_ok=True)
            with contextlib.suppress(FileNotFoundError):  # its maker has just removed it
                return os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise WriteError(
            f"could not write into {path.parent}: {error.strerror}. Make the folder writable, or "
            "name another one."
        ) from error


def _locked(descriptor: int, path: Path, refusal: Refusal | None) -> bool:
    """Lock an open file; False where the disk has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if refusal is None else fcntl.LOCK_NB))
    except OSError as error:
        if refusal is not None and error.errno in _TAKEN:
            holder = path.read_text(encoding="utf-8", errors="replace") or "another process"
            os.close(descriptor)
            raise LockedError(refusal(holder)) from error
        warnings.warn(
            f"{path.parent} is on a disk without locks ({error.strerror}): see to it that no other "
            "process writes there.",
            stacklevel=4,
        )
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

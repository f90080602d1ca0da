"""A lock on a folder, so that only one run writes into it at a time.

It is the system's lock on a file (POSIX ``fcntl``, the standard library's), which ends with the
process that holds it, however that ends: a run that was killed leaves none. Children do not inherit
it, and network disks (NFS since version 4, Lustre) keep it for all machines. Of several ranks of
one run only the first takes it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shlex
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from project.core.errors import InputError
from project.storage import layout
from project.storage.files import WriteError

try:
    import fcntl
except ImportError:  # Windows has another way; there, two runs are not kept apart
    fcntl = None  # type: ignore[assignment]

_TAKEN = (errno.EACCES, errno.EAGAIN)  # systems differ in which it is
_HELD: dict[Path, int] = {}  # open files of the folders that this process has locked
_MADE: set[Path] = set()  # those whose folder was made for the lock


class LockedError(InputError):
    """Another run writes into the folder."""


def lock(folder: Path) -> bool:
    """Take the lock of a folder, which is made where it is missing.

    Returns:
        Whether it was taken now; otherwise this process had it already.

    Raises:
        LockedError: if another process has it, naming that one.
        WriteError: if nothing can be written there.
    """
    path = folder.resolve() / layout.LOCK
    if path in _HELD:
        return False
    if not path.parent.exists():
        _MADE.add(path)
    while True:
        descriptor = _opened(path)
        if not _locked(descriptor, path):
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


def unlock(folder: Path) -> None:
    """Give back the lock of a folder, if this process has it.

    A folder that was made for the lock and is empty, as after a refusal, goes with it.
    """
    path = folder.resolve() / layout.LOCK
    descriptor = _HELD.pop(path, None)
    if descriptor is not None:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)  # while it is still held, so that it is nobody else's
            if path in _MADE:
                path.parent.rmdir()  # an error unless it is empty
        _MADE.discard(path)
        os.close(descriptor)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder; see :func:`lock`."""
    taken = lock(folder)
    try:
        yield
    finally:
        if taken:
            unlock(folder)


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


def _locked(descriptor: int, path: Path) -> bool:
    """Lock an open file; False where the disk has no locks."""
    if fcntl is None:
        return False
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            holder = path.read_text(encoding="utf-8", errors="replace") or "another process"
            os.close(descriptor)
            raise LockedError(
                f"only one run may write into {path.parent} at a time, and {holder} does. Wait "
                "until it has ended, or name another folder."
            ) from error
        warnings.warn(
            f"{path.parent} is on a disk without locks ({error.strerror}): see to it that no other "
            "run writes there.",
            stacklevel=3,
        )
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False

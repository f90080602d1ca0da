"""Atomic writes of files: after a crash at any instant no file is half written."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from project.core.errors import InputError

_PART = ".part"  # a file that is being written: .NAME.RANDOM.part
_ABANDONED = 3600.0  # seconds without a change, after which its writer is taken for dead
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteError(OSError, InputError):
    """A file cannot be written; the message names it and tells what to do."""


def replace_file(path: Path, content: bytes) -> None:
    """Replace a file atomically: a reader, or a crash at any instant, finds the old or the new one.

    The content is flushed to the disk before the file gets its name, and the name after it: after a
    power failure too, a file that is there is whole, and whatever was written before it is there
    as well. That costs two flushes per file.

    Args:
        path: the file; its folder is made where it is missing.
        content: the file's whole content.

    Raises:
        WriteError: if the content cannot be written, as on a full disk; the old file is still
            there.
    """
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file whose content takes the place of the old one's when the block ends.

    See :func:`replace_file`; this is for what is too large to be in memory at once. After an error
    in the block the old file is still there.
    """
    temporary = None
    try:
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # In the same folder, since a rename is atomic only within one file system. The random
            # name lets several processes write the same file at once: the last rename wins.
            descriptor, temporary = tempfile.mkstemp(_PART, f".{path.name}.", path.parent)
            with os.fdopen(descriptor, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())  # or a power failure could leave the name on an empty file
            os.chmod(temporary, 0o644)  # mkstemp's 0o600 would shut out other users of the store
            os.replace(temporary, path)
            _flush_folder(path.parent)
    finally:
        if temporary is not None:  # after a failure, Ctrl-C among them; else it is renamed by now
            Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the errors of a block that writes a file into one line.

    Raises:
        WriteError: if the file cannot be written.
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        remedy = "make room there" if error.errno in _FULL else "make the folder writable"
        raise WriteError(
            f"could not write {path}: {error.strerror}. Everything written before is kept: "
            f"{remedy}, or write elsewhere, and run the same command."
        ) from error


def _flush_folder(folder: Path) -> None:
    """Flush the names in a folder to the disk, where the system can do so."""
    with contextlib.suppress(OSError):  # some network disks refuse; the file itself is written
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def remove_abandoned(folder: Path) -> None:
    """Remove temporary files that killed writers have left in a folder.

    A write takes milliseconds, so a file unchanged for an hour has no writer any more. If it has
    one after all, on a disk that hung for so long, that writer gets a :class:`WriteError`; stored
    files are never touched.
    """
    for path in folder.glob(f".*{_PART}"):
        with contextlib.suppress(OSError):  # another process has renamed or removed it
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()

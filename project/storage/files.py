"""Writing files so that no instant leaves half of one."""

from __future__ import annotations

import contextlib
import errno
import os
import tempfile
import time
from pathlib import Path

from project.core.errors import InputError

_PART = ".part"  # a file that is being written: .NAME.RANDOM.part
_ABANDONED = 3600.0  # seconds
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class WriteError(OSError, InputError):
    """A file cannot be written; the message names it and tells what to do."""


def replace_file(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash at any instant, finds the old one or the new one.

    The content is on the disk before the name is: after a power failure too, a file that is there
    is whole, and whatever was written before it is there as well. That costs one flush per file.

    Args:
        path: the file; its folder is made where it is missing.
        content: all of it.

    Raises:
        WriteError: if the content cannot be written, as on a full disk; the old file is still
            there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(_PART, f".{path.name}.", path.parent)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except OSError as error:
        remedy = "make room there" if error.errno in _FULL else "make the folder writable"
        raise WriteError(
            f"could not write {path}: {error.strerror}. Everything written before is kept: "
            f"{remedy}, or write elsewhere, and run the same command."
        ) from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def remove_abandoned(folder: Path) -> None:
    """Remove what writers that were killed have left behind in a folder.

    A write takes milliseconds, so nobody is writing a file that has been the same for an hour. And
    if somebody is after all, on a disk that hung for so long, that writer is told that it could not
    write; what is stored is never touched.
    """
    for path in folder.glob(f".*{_PART}"):
        with contextlib.suppress(OSError):  # somebody else has removed it
            if time.time() - path.stat().st_mtime > _ABANDONED:
                path.unlink()

"""One walk over folders of the user's, and one reading of their files, for all that looks there.

Convention
    paths     relative to the folder that is walked, with ``/``, sorted
    passed    hidden files and folders, and what file managers and servers leave (``CLUTTER``)
    links     followed; a folder that lies inside of itself by a link is entered once
"""

from __future__ import annotations

import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from project.core.errors import InputError

CLUTTER = frozenset(
    {
        "__macosx",
        "__pycache__",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "icon\r",
        "@eadir",
        "@tmp",
        "#recycle",
        "#snapshot",
        "lost+found",
        "$recycle.bin",
        "recycler",
        "system volume information",
        "network trash folder",
        "temporary items",
    }
)
"""Names, in lower case, that systems give to files and folders which are nobody's data."""

_MOST_VISITS = 32  # of one folder by different links; links that form a net have no end

_LARGEST_FILE = 2**31  # bytes

Entries = Callable[[Path], Iterable[os.DirEntry[str]]]
"""Returns what a folder holds."""


class FileError(InputError):
    """A file cannot be used; the message is the reason, without the file's name."""


def read_regular(path: Path) -> bytes:
    """Return what a file holds.

    Raises:
        FileError: if it is missing, empty, too large, or no regular file: a pipe would be waited
            for, and a device has no end.
    """
    try:
        data = regular_bytes(path)
    except FileNotFoundError as error:
        raise FileError("file is missing") from error
    except OSError as error:
        raise FileError(f"file cannot be read: {error.strerror}") from error
    except FileError:
        raise
    except ValueError as error:  # a NUL byte in its name
        raise FileError(f"file cannot be read: {error}") from error
    if not data:
        raise FileError("file is empty")
    return data


def regular_bytes(path: Path) -> bytes:
    """Return what a file of Mirage's own holds, which may be nothing.

    Raises:
        FileError: if it is too large, or no regular file: a pipe would be waited for, and a device
            has no end.
        OSError: as by :meth:`pathlib.Path.read_bytes`.
    """
    size = require_regular(path)
    if size > _LARGEST_FILE:
        raise FileError(f"file is too large: {size} bytes")
    return path.read_bytes()


def require_regular(path: Path) -> int:
    """Return the bytes of a file of any size, refusing what is no regular file.

    Raises:
        FileError: if it is none.
        OSError: as by :meth:`pathlib.Path.stat`.
    """
    state = path.stat()
    if stat.S_ISDIR(state.st_mode):
        raise FileError("must be a file, got a folder")
    if not stat.S_ISREG(state.st_mode):
        raise FileError("must be a regular file, got a pipe, socket or device")
    return state.st_size


def is_clutter(name: str) -> bool:
    """Return whether a file or folder of this name is hidden, or a system's own."""
    return name.startswith(".") or name.lower() in CLUTTER


def composed(name: str) -> str:
    """Return a name with composed accents (NFC): macOS writes é as two characters."""
    return unicodedata.normalize("NFC", name)


def subfolders(folder: Path) -> list[str]:
    """Return the names of the folders in a folder, links to folders included, sorted."""
    return sorted(entry.name for entry in _entries(folder) if _is_folder(entry))


def files_below(folder: Path, suffixes: Collection[str]) -> list[str]:
    """List the files anywhere below a folder.

    Listed are regular files, and links that lead nowhere, so that whoever reads them can say that
    they are missing. Pipes, sockets and devices are no files.

    Args:
        folder: where to begin.
        suffixes: the endings to list, in lower case, with the dot.

    Returns:
        Paths relative to the folder, with ``/``, sorted.

    Raises:
        InputError: naming what cannot be listed, or links that lead in circles without end.
    """
    endings = tuple(suffixes)
    return sorted(
        path
        for path, entry in walk(folder, _entries)
        if entry.name.lower().endswith(endings) and _is_file(entry)
    )


def walk(folder: Path, entries: Entries) -> Iterator[tuple[str, os.DirEntry[str]]]:
    """Yield all that is no folder below a folder, links followed, none inside of itself.

    Args:
        folder: where to begin.
        entries: returns what a folder holds.

    Yields:
        Paths relative to the folder, with ``/``, and the entries.

    Raises:
        InputError: naming links that lead in circles without end.
    """
    yield from _below(folder, "", entries, (), Counter())


def _below(
    folder: Path,
    prefix: str,
    entries: Entries,
    above: tuple[tuple[int, int], ...],
    visits: Counter[tuple[int, int]],
) -> Iterator[tuple[str, os.DirEntry[str]]]:
    state = folder.stat()
    own = (state.st_dev, state.st_ino)
    if own in above:
        return
    visits[own] += 1
    if visits[own] > _MOST_VISITS:
        raise InputError(
            f"links in a folder of data must not lead to one folder again and again, got {folder} "
            f"by more than {_MOST_VISITS} ways. Remove the links."
        )
    for entry in entries(folder):
        if _is_folder(entry):
            below = f"{prefix}{entry.name}/"
            yield from _below(Path(entry.path), below, entries, (*above, own), visits)
        else:
            yield prefix + entry.name, entry


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return what a folder holds, without clutter."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not is_clutter(entry.name)]
    except FileNotFoundError:
        raise
    except OSError as error:
        raise InputError(
            f"{folder} must be a folder that can be listed, got: {error.strerror}. Correct the "
            "path or its permissions."
        ) from error
    for entry in entries:
        if entry.name != entry.name.encode(errors="ignore").decode():
            raise InputError(
                f"names of files must be valid UTF-8, got {os.fsencode(entry.name)!r} in {folder}. "
                "Rename it."
            )
    return entries


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_file() or (entry.is_symlink() and not os.path.exists(entry.path))
    except OSError:  # a link to itself: as one that leads nowhere
        return True

"""Hashes of what files and folders hold, whatever they are called and wherever they lie."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

_BLOCK = 1 << 20

Stamp = tuple[tuple[str, int, int, int], ...]


def named_file(text: str) -> Path | None:
    """Return the file or folder that a text names, ``~`` and ``${NAME}`` expanded; None if none.

    A bare word without suffix, such as ``resnet50``, names none, whatever lies in the folder.
    """
    if not text or len(text) > 1024 or "\0" in text or "\n" in text:
        return None
    path = Path(os.path.expandvars(os.path.expanduser(text)))
    if not (os.sep in text or text.startswith("~") or "$" in text or path.suffix):
        return None
    try:
        return path if path.is_file() or path.is_dir() else None
    except OSError:  # a name that is too long for the system
        return None


def content_hash(path: Path) -> str:
    """Return the SHA-256 of a file, or of all files in a folder with their names inside it.

    It is computed anew only if a size or a time of change differs.
    """
    return _hash_of(path, _stamp(path))


def _stamp(path: Path) -> Stamp:
    return tuple(
        (name, state.st_size, state.st_mtime_ns, state.st_ino)
        for name, file in sorted(_files(path))
        for state in (file.stat(),)
    )


def _files(path: Path) -> Iterator[tuple[str, Path]]:
    if path.is_file():
        yield "", path
        return
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder, name)
            if file.is_file():  # no pipe, and no link to nowhere
                yield file.relative_to(path).as_posix(), file


@lru_cache(256)
def _hash_of(path: Path, stamp: Stamp) -> str:
    sha = hashlib.sha256()
    for name, *_ in stamp:
        own = hashlib.sha256()
        with (path / name if name else path).open("rb") as file:
            while block := file.read(_BLOCK):
                own.update(block)
        sha.update(f"{name}\0{own.hexdigest()}\n".encode())
    return sha.hexdigest()

"""Hashes of what files and folders hold, whatever they are called and wherever they lie.

Convention: a text of the package's own objects names a file if it looks like a path; a bare word,
such as a preset, stays a word whatever lies in the folder. Of anybody else's objects nobody knows
which texts are paths, so each that fits something counts: bare words, and the folder that holds
what a pattern such as ``maps/{}.png`` finds.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from pathlib import Path
from typing import Any

from project.core.folders import walk

_BLOCK = 1 << 20
_PATTERN = re.compile(r"[{*%]")
_NAMED = re.compile(r"\w")
_any_text: ContextVar[bool] = ContextVar("any_text", default=False)

Stamp = tuple[tuple[str, int, int, int], ...]


@contextmanager
def any_text_may_name_files(it_may: bool) -> Iterator[None]:
    """Within it, read texts as those of somebody else's object, or as the package's own."""
    token = _any_text.set(it_may)
    try:
        yield
    finally:
        _any_text.reset(token)


def told_text(text: str) -> Any:
    """Tell a text as it is, or what it names by content, since where that lies cannot matter."""
    path = named_file(text)
    if path is not None:
        return told_path(path)
    return _pattern(text) or text


def told_path(path: Path) -> dict[str, str]:
    """Tell a path by the name and content of what is there."""
    if not path.exists():
        return _pattern(str(path)) or {"path": str(path)}
    return {"file": path.name, "sha256": content_hash(path)}


def _pattern(text: str) -> dict[str, str] | None:
    """Tell a pattern of paths by itself and all that its folder holds, None where it is none."""
    begin = _PATTERN.search(text)
    folder = text[: begin.start()].rpartition(os.sep)[0] if begin else ""
    if not folder or not _any_text.get():
        return None
    found = _there(_expanded(folder))
    if found is None:
        return None
    inside = text[len(folder) + 1 :]
    return {"pattern": inside, "file": found.name, "sha256": content_hash(found)}


def named_file(text: str) -> Path | None:
    """Return the file or folder that a text names, ``~`` and ``${NAME}`` expanded; None if none.

    A bare word without suffix, such as ``resnet50``, names none, whatever lies in the folder,
    unless it is somebody else's object's. Signs alone, such as ``/`` and ``.``, name none: they
    separate and join, and what lies there may be the whole disk.
    """
    if not _NAMED.search(text) or len(text) > 1024 or "\0" in text or "\n" in text:
        return None
    path = _expanded(text)
    is_word = not (os.sep in text or text.startswith("~") or "$" in text or path.suffix)
    if is_word and not _any_text.get():
        return None
    return _there(path)


def _expanded(text: str) -> Path:
    return Path(os.path.expandvars(os.path.expanduser(text)))


def _there(path: Path) -> Path | None:
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
    for name, entry in walk(path, _entries):
        if os.path.isfile(entry):  # no pipe, and no link to nowhere
            yield name, Path(entry.path)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """Return all that a folder holds, hidden ones too; of one that cannot be listed nothing."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return []
    with os.scandir(folder) as found:
        return list(found)


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

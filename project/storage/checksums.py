"""The checksums of a run's files: ``SHA256SUMS`` in its folder, as ``sha256sum`` writes and checks.

Whoever reads one of the files compares it first, so that a damaged one is named and not believed.
Files that are not listed, such as one's own, are read as they are. ``cd RUN; sha256sum -c
SHA256SUMS`` checks all.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import struct
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from fnmatch import fnmatch
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from project.core.folders import FileError, regular_bytes, require_regular
from project.core.json_text import parse_json
from project.storage import layout
from project.storage.files import replacing
from project.storage.seal import DamagedError

_LINE = re.compile(r"([0-9a-f]{64})  (.+)\n")
_DEPTH = 5  # folders from a run's down to its pictures

Stamp = bytes
"""What tells of a file whether it was written since; small, since galleries have many files."""


def read_checked(path: Path) -> bytes:
    """Return a file's content after comparing it with its folder's checksums, if it is listed.

    Raises:
        DamagedError: if it is not what was written, or the list cannot be read.
    """
    content = _content(path)
    if _listed(path) not in (None, _sha256(content)):
        raise DamagedError(damage(path))
    return content


def open_checked(path: Path) -> pa.NativeFile:
    """Return a file, open at its beginning, after comparing it as :func:`read_checked` does.

    It is never in memory as a whole, and what is read from it later is what was compared, even if
    another file takes its name.

    Raises:
        DamagedError: likewise.
    """
    wanted = _listed(path)
    try:
        require_regular(path)
        file = pa.OSFile(str(path))
        if wanted is not None:
            if hashlib.file_digest(file, "sha256").hexdigest() != wanted:
                raise DamagedError(damage(path))
            file.seek(0)
    except FileError as error:
        raise DamagedError(_unfit(path, error)) from error
    return file


def read_json(path: Path) -> Any:
    """Return what a JSON file says; see :func:`read_checked`."""
    try:
        return parse_json(read_checked(path))
    except DamagedError:
        raise
    except ValueError as error:
        raise DamagedError(damage(path)) from error


def read_parquet(path: Path) -> pa.Table:
    """Return the table of a Parquet file, whose pages have checksums too; see :func:`read_checked`.

    Those serve a file that was taken out of its folder.
    """
    content = read_checked(path)
    try:
        table = pq.read_table(pa.BufferReader(content), page_checksum_verification=True)
        table.validate(full=True)
    except (pa.ArrowException, OSError) as error:
        raise DamagedError(damage(path)) from error
    return table


def read_checksums(folder: Path) -> Mapping[str, str]:
    """Return the SHA-256 of a run's files by their names; empty where there is no list.

    Raises:
        DamagedError: if the list cannot be read.
    """
    path = folder / layout.CHECKSUMS
    try:
        return _parsed(path, _stamp(path))
    except FileNotFoundError:
        return {}


@lru_cache(8)
def _parsed(path: Path, stamp: Stamp) -> Mapping[str, str]:
    found = {}
    for line in io.StringIO(_content(path).decode(errors="replace")):  # only \n ends a line
        match = _LINE.fullmatch(line)
        if match is None:
            raise DamagedError(
                f"{path} is damaged, so nothing tells whether the other files are. Run the command "
                f"of {layout.FACTS} again."
            )
        found[match[2]] = match[1]
    return found


def list_checksums(folder: Path) -> None:
    """List the checksums of all files of a run that has just ended."""
    _write(folder, {}, _stamps(folder))


def forget(folder: Path, *patterns: str) -> None:
    """Drop the lines of files that are about to be written outside of a :func:`listing`, or gone.

    Args:
        folder: the run's folder.
        patterns: of the names, such as ``samples/*``.
    """
    known = read_checksums(folder)
    kept = {
        name: known[name]
        for name in known
        if (folder / name).is_file() and not any(fnmatch(name, one) for one in patterns)
    }
    if kept != known:
        _write(folder, kept, ())


@contextmanager
def listing(folder: Path, written: Collection[str]) -> Iterator[None]:
    """List the checksums of the files that are written into a folder within the block, or were new.

    Files that are not written keep their lines, by which they are read within the block too: what
    was damaged before is not called whole after.

    Args:
        folder: the run's folder.
        written: names of the files that may be written anew. They have no lines until the block
            ends, so that a crash within it calls none of them damaged.
    """
    before, known = _stamps(folder), read_checksums(folder)
    if known:
        _write(folder, {name: known[name] for name in known if name not in written}, ())
    try:
        yield
    finally:
        after = _stamps(folder)
        kept = {name: known[name] for name in known if before.get(name) == after.get(name)}
        _write(folder, kept, after.keys() - kept.keys())


def _write(folder: Path, kept: Mapping[str, str], changed: Iterable[str]) -> None:
    fresh = {name: _sha256_of(os.path.join(folder, name)) for name in changed}
    with replacing(folder / layout.CHECKSUMS) as file:
        for name in sorted({*kept, *fresh}):
            file.write(f"{fresh.get(name) or kept[name]}  {name}\n".encode())


def unlisted(folder: Path) -> list[Path]:
    """Return the files of a run that its list lacks."""
    known = read_checksums(folder)
    return [folder / name for name in _stamps(folder) if name not in known]


def damages(folder: Path) -> list[str]:
    """Return the listed files of a folder that are missing or damaged, a line for each."""
    found = []
    for name, wanted in read_checksums(folder).items():
        path = folder / name
        if not path.exists():
            found.append(f"{path} is missing")
        elif not path.is_file() or _sha256_of(path) != wanted:
            found.append(f"{path} is damaged: it is not what was written")
    return found


def _listed(path: Path) -> str | None:
    """Return the checksum that the nearest list has of a file, None where it has none."""
    for folder in list(path.absolute().parents)[:_DEPTH]:
        if (folder / layout.CHECKSUMS).exists():
            return read_checksums(folder).get(path.absolute().relative_to(folder).as_posix())
    return None


def _content(path: Path) -> bytes:
    try:
        return regular_bytes(path)
    except FileError as error:
        raise DamagedError(_unfit(path, error)) from error


def _unfit(path: Path, error: FileError) -> str:
    return f"{path} is damaged: it {error}. Remove it and run again."


def damage(path: Path) -> str:
    """Return what is said of a file that is not what was written."""
    return (
        f"{path} is damaged: it is not what the run wrote. Run the command of {layout.FACTS} "
        "again, which takes the images from the store; if you have changed the file yourself, "
        f"delete its line in {layout.CHECKSUMS}."
    )


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _sha256_of(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()  # rows may be larger than memory


def _stamps(folder: Path) -> dict[str, Stamp]:
    """Return the stamps of a run's files by their names."""
    return {name: _stamp(os.path.join(folder, name)) for name in sorted(_names(folder))}


def _names(folder: Path) -> set[str]:
    """Return the names of a run's files, without a path of each, which takes a kilobyte."""
    found: set[str] = set()
    start = len(str(folder / "x")) - 1
    for pattern in layout.LISTED:
        above, deep, _ = pattern.partition("/**/")
        paths = _below(folder / above) if deep else map(str, folder.glob(pattern))
        found.update(path[start:].replace(os.sep, "/") for path in paths if os.path.isfile(path))
    return found


def _below(folder: Path) -> Iterator[str]:
    return (os.path.join(path, name) for path, _, names in os.walk(folder) for name in names)


def _stamp(path: str | Path) -> Stamp:
    state = os.stat(path)
    return struct.pack("<QqQ", state.st_ino, state.st_mtime_ns, state.st_size)

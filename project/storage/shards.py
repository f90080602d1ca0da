"""Files by name, packed into zip archives: one archive for all that is written at a time.

File systems and object stores dislike millions of small files. An archive is called
FIRST.N.HASH.zip: the first of its names in order, its generation, and a hash of all its names.
Equal content gives equal bytes: members are stored as they are, in order, with one date. ``unzip``
opens it.

A name that is written again stands in an archive of a higher generation, whose copy counts; the old
one stays where it is, since others may be reading it. Archives are replaced atomically, so none is
ever half written, and any number of processes may write into a folder at once.
"""

from __future__ import annotations

import hashlib
import io
import os
import time
import warnings
import zipfile
import zlib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path, PurePath
from typing import NamedTuple

from project.core.folders import regular_bytes
from project.storage.files import replace_file

DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError)
"""What reading a damaged archive raises, beside OSError and ValueError."""

_SUFFIX = ".zip"
_SETTLED = 0.1  # seconds after which a folder's time of change tells of later changes, too
_DATE = (1980, 1, 1, 0, 0, 0)  # the earliest that the format has


class _Place(NamedTuple):
    """Where a file is; the largest one counts."""

    generation: int
    archive: str


class Shards:
    """The files of one folder, by name.

    Args:
        folder: where the archives lie; it need not be there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[str, _Place] = {}
        self._listed: set[str] = set()
        self._damaged: set[str] = set()
        self._seen = -1  # the folder's time of change when it was listed

    def __contains__(self, name: str) -> bool:
        if name not in self._places:
            self._refresh()
        return name in self._places

    def read(self, names: Collection[str]) -> dict[str, bytes]:
        """Return what files hold; those that are not there are left out.

        Raises:
            OSError: if an archive cannot be read.
            ValueError: or one of :data:`DAMAGED`, if one is damaged.
        """
        wanted: dict[str, list[str]] = {}
        for name in names:
            if name in self:
                wanted.setdefault(self._places[name].archive, []).append(name)
        found: dict[str, bytes] = {}
        for archive, members in wanted.items():
            with zipfile.ZipFile(io.BytesIO(regular_bytes(self.folder / archive))) as opened:
                there = {*opened.namelist()}
                found |= {name: opened.read(name) for name in members if name in there}
        return found

    def write(self, files: Mapping[str, bytes]) -> None:
        """Write files into an archive of their own, beside which older copies do not count.

        Raises:
            WriteError: if it cannot be written.
        """
        self._refresh()
        older = {self._places[name] for name in files if name in self._places}
        generation = max((place.generation for place in older), default=-1) + 1
        for place in older:  # of the very same names, and so replaced
            if len(older) == 1 and place.archive == _archive_name(files, place.generation):
                generation = place.generation
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as archive:
            for name in sorted(files):
                archive.writestr(zipfile.ZipInfo(name, _DATE), files[name])
        path = self.folder / _archive_name(files, generation)
        replace_file(path, packed.getvalue())
        self._list(path.name)

    def forget(self) -> None:
        """Free the memory of where files are; archives are listed anew when one is asked for."""
        self._places, self._listed, self._seen = {}, set(), -1

    def _refresh(self) -> None:
        """List archives that are new."""
        try:
            state = self.folder.stat()
        except OSError:
            return
        if state.st_mtime_ns == self._seen:
            return
        # What is written within the same tick of the clock would leave the time as it is.
        settled = time.time() - state.st_mtime > _SETTLED
        for entry in os.scandir(self.folder):
            if entry.name.endswith(_SUFFIX) and not entry.name.startswith("."):
                self._list(entry.name)
        self._seen = state.st_mtime_ns if settled else -1

    def _list(self, archive: str) -> None:
        """Note what an archive holds. A name stands for the names in it, so once is enough."""
        path = self.folder / archive
        if archive in self._listed or not path.is_file():
            return
        try:
            place = _Place(_generation(archive), archive)
            with zipfile.ZipFile(path) as opened:
                names = opened.namelist()
            if _archive_name(names, place.generation) != archive:
                raise ValueError("it holds other files than its name says")
        except (OSError, ValueError, IndexError, *DAMAGED) as error:
            if archive not in self._damaged:
                self._damaged.add(archive)
                warnings.warn(
                    f"{path} cannot be used ({error}); its batch is attacked again.", stacklevel=5
                )
            return
        self._listed.add(archive)
        for name in names:
            self._places[name] = max(place, self._places.get(name, place))

    def archives(self) -> Iterator[Path]:
        """Yield the archives whose copy of any file counts."""
        self._refresh()
        for archive in sorted({place.archive for place in self._places.values()}):
            yield self.folder / archive


def _archive_name(names: Collection[str], generation: int) -> str:
    ordered = sorted(names)
    told = hashlib.sha256("\n".join(ordered).encode()).hexdigest()[:12]
    return f"{PurePath(ordered[0]).stem}.{generation}.{told}{_SUFFIX}"


def _generation(archive: str) -> int:
    return int(archive.removesuffix(_SUFFIX).split(".")[-2])

"""Bytes that wait on disk until they are asked for again, where memory would be too small."""

from __future__ import annotations

import tempfile
import weakref
from pathlib import Path

from project.storage.files import writing

_LENGTH = 8  # bytes


class Spill:
    """Byte strings by whole numbers, in a file without a name that ends with its process.

    Args:
        folder: where the file lies; made where it is missing, when the first bytes come.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._places: dict[int, int] = {}  # of the length, which the content follows

    def __setitem__(self, key: int, content: bytes) -> None:
        """Write bytes.

        Raises:
            WriteError: if the disk is full, for example.
        """
        with writing(self.folder):
            if not self._places:
                self.folder.mkdir(parents=True, exist_ok=True)
                self._file = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115 as long as self
                weakref.finalize(self, self._file.close)
            place = self._file.seek(0, 2)
            self._file.write(len(content).to_bytes(_LENGTH) + content)
        self._places[key] = place

    def __getitem__(self, key: int) -> bytes:
        """Read bytes.

        Raises:
            KeyError: if there are none of that key.
        """
        self._file.seek(self._places[key])  # writes out what is buffered
        return self._file.read(int.from_bytes(self._file.read(_LENGTH)))

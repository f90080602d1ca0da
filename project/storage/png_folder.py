"""A folder of PNG maps, one for each photo of a data set."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from project.core.errors import InputError
from project.core.folders import FileError, composed, files_below
from project.core.raster import Raster, class_ids, decode

_COLOUR = 8  # levels between channels that rounding can make of a grey map


class PngFolder:
    """PNG maps that belong to photos, each under its photo's name.

    Args:
        root: the folder, with a file ``NAME.png`` for every sample, in folders below where names
            have them. ``~`` and ``${NAME}`` (an environment variable) are expanded.
        kind: name of a map in messages.
    """

    def __init__(self, root: str, kind: str) -> None:
        self.root = root
        self.kind = kind
        self._folder = Path(os.path.expandvars(os.path.expanduser(root)))

    def require(self) -> None:
        """Check that the folder exists.

        Raises:
            FileNotFoundError: if it does not.
        """
        if not self._folder.is_dir():
            raise FileNotFoundError(
                f"a folder with one PNG {self.kind} for each photo is needed, got {self.root!r}. "
                "Correct the path, or set the environment variable that it names."
            )

    def ids(self, name: str, index: int) -> NDArray[np.uint8]:
        """Return the map of a sample as class ids, (H, W) uint8.

        Raises:
            FileNotFoundError: naming the file, if it is not there.
            InputError: naming the file, if it is damaged or does not hold one id per pixel.
        """
        try:
            return class_ids(self._read(name, index))
        except FileError as error:
            raise InputError(f"{self.kind} {self._path(name)}: {error}.") from error

    def grey(self, name: str, index: int) -> NDArray[np.uint8]:
        """Return the map of a sample as grey levels, (H, W) uint8.

        Raises:
            FileNotFoundError: naming the file, if it is not there.
            InputError: naming the file, if it is damaged, has more than 8 bits a channel, colours,
                or levels of 0 and 1 alone.
        """
        picture = self._read(name, index)
        if picture.deep:
            raise InputError(
                f"{self.kind} {self._path(name)} must have 8 bits a channel, got more (mode "
                f"{picture.image.mode!r}). Save it with 8 bits."
            )
        colours = picture.image.convert("RGB")
        if int(np.ptp(np.asarray(colours), axis=2).max()) > _COLOUR:
            raise InputError(
                f"{self.kind} {self._path(name)} must be grey, got colours. Save its values as "
                "grey levels, 0 … 255, and not with a colour map."
            )
        levels: NDArray[np.uint8] = np.asarray(colours.convert("L"))
        if int(levels.max()) == 1:
            raise InputError(
                f"{self.kind} {self._path(name)} must have levels 0 … 255, got 0 and 1. Multiply "
                "it by 255."
            )
        return levels

    def fingerprint(self) -> str:
        """Return a hash of all maps, so that changed maps are not taken for the old ones."""
        sha = hashlib.sha256()
        for file in files_below(self._folder, (".png",)):
            content = hashlib.sha256((self._folder / file).read_bytes()).hexdigest()
            sha.update(f"{file}:{content};".encode())
        return sha.hexdigest()

    def _read(self, name: str, index: int) -> Raster:
        path = self._path(name)
        if not path.exists():
            raise FileNotFoundError(f"no {self.kind} {path} for sample {index}.")
        try:
            return decode(path)
        except FileError as error:
            raise InputError(f"{self.kind} {path}: {error}. Repair it or make it again.") from error

    def _path(self, name: str) -> Path:
        """Return the file of a name, which macOS may have written with accents of their own."""
        path = self._folder / f"{name}.png"
        if path.exists() or not path.parent.is_dir():
            return path
        wanted = composed(PurePosixPath(path).name).lower()
        alike = [other for other in path.parent.iterdir() if composed(other.name).lower() == wanted]
        return alike[0] if len(alike) == 1 else path

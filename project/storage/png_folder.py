"""A folder of PNG maps, one for each photo of a data set."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from PIL import Image


class PngFolder:
    """PNG maps that belong to photos, each under its photo's name.

    Args:
        root: the folder, with a file ``NAME.png`` for every sample. ``~`` and ``${NAME}`` (an
            environment variable) are expanded.
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

    def read(self, name: str, index: int) -> Image.Image:
        """Return the map of a sample as it is in its file.

        Raises:
            FileNotFoundError: naming the file, if it is not there.
        """
        path = self._folder / f"{name}.png"
        if not path.is_file():
            raise FileNotFoundError(f"no {self.kind} {path} for sample {index}.")
        with Image.open(path) as image:
            image.load()
        return image

    def fingerprint(self) -> str:
        """Return a hash of all maps, so that changed maps are not taken for the old ones."""
        sha = hashlib.sha256()
        for file in sorted(self._folder.glob("*.png")):
            sha.update(f"{file.name}:{hashlib.sha256(file.read_bytes()).hexdigest()};".encode())
        return sha.hexdigest()

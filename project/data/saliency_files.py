"""Photos with an object mask each, paired by name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import cv2
import numpy as np

from project.core.errors import InputError
from project.data.decoding import Pixels, SampleError, read_rgb, require_same_size
from project.data.files import MaskedFile, images_under, require_folder
from project.data.frame import Frame
from project.data.sample_set import SampleSet

_THRESHOLD = 128
_COLOUR = 8  # levels between channels that JPEG's rounding can make of a grey mask


class SaliencyFiles(SampleSet):
    """Photos with one grey mask each: from level 128 on object, class 1, below background.

    Soft masks are cut there, since the IoU has its optimum at the mask only where that is 0 or 1.

    Args:
        root: folder that all files are relative to.
        files: photos and masks, in any order; they are sorted by name.
        frame: the evaluation transform.
        limit: see :class:`SampleSet`.
    """

    task = "segmentation"

    def __init__(
        self, root: Path, files: Sequence[MaskedFile], *, frame: Frame, limit: int | None = None
    ) -> None:
        self.root = root
        self.files = sorted(files, key=lambda entry: entry.name)
        self.class_names = ("background", "object")
        super().__init__([entry.name for entry in self.files], frame, limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode photo and mask and check that they fit; see :class:`SampleSet`."""
        image = read_rgb(self.root / self.files[index].file)
        mask = self.foreground(index)
        require_same_size(image, mask, self.files[index].mask)
        return image, mask

    def foreground(self, index: int) -> Pixels:
        """Return 1 on the object, 0 elsewhere."""
        file = self.files[index].mask
        try:
            return read_object_mask(self.root / file)
        except SampleError as error:
            raise SampleError(f"mask {file}: {error}") from error

    def content(self) -> list[Any]:
        """Return files and sizes."""
        return [[*entry, *_bytes(self.root, entry)] for entry in self.files]

    def where(self, index: int) -> str:
        """Return the photo's file."""
        return self.files[index].file


def pair_by_name(root: Path, images: str, masks: str) -> list[MaskedFile]:
    """List photos with the mask of the same name, sorted by name.

    A photo without a mask is listed with the mask that it should have, for verifying to find.

    Args:
        root: folder that the other two are relative to.
        images: folder of the photos.
        masks: folder of the masks.

    Raises:
        FileNotFoundError: if a folder is not there.
        ValueError: if both are one folder, a name occurs twice, or there is no photo.
    """
    require_folder(root / images, "the photos")
    require_folder(root / masks, "the masks")
    if (root / images).resolve() == (root / masks).resolve():
        raise InputError(
            f"photos and masks must lie in two folders, got {images!r} for both. "
            "Set --data.images and --data.masks."
        )
    photos, found = _by_name(root, images), _by_name(root, masks)
    if not photos:
        raise InputError(f"{root / images} must hold photos, got none. Check --data.images.")
    if not photos.keys() & found.keys():
        raise InputError(
            f"masks must have the names of the photos, got photos such as {next(iter(photos))!r} "
            f"in {root / images} and {_example(found)} in {root / masks}. "
            "Check --data.images and --data.masks."
        )
    return [
        MaskedFile(photo, found.get(name, f"{masks}/{name}.png"), name)
        for name, photo in sorted(photos.items())
    ]


def read_object_mask(path: Path) -> Pixels:
    """Decode a grey mask of any file type and cut it at level 128.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        SampleError: as :func:`read_rgb`; if the mask has colours, or its levels are 0 and 1.
    """
    levels = read_rgb(path)
    if int(np.ptp(levels, axis=2).max()) > _COLOUR:
        raise SampleError(
            "an object mask must be grey, black for background and white for the object, got "
            "colours (is it a mask of classes, or a photo?)"
        )
    grey = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)
    if int(grey.max()) == 1:
        raise SampleError(
            f"an object mask must have levels 0 … 255 with the object from {_THRESHOLD} on, got "
            "0 and 1 (multiply by 255)"
        )
    return (grey >= _THRESHOLD).astype(np.uint8)


def _by_name(root: Path, folder: str) -> dict[str, str]:
    """Map names, paths below the folder without suffix, to files."""
    names: dict[str, str] = {}
    for file in images_under(root / folder, root):
        name = PurePosixPath(file).relative_to(PurePosixPath(folder)).with_suffix("").as_posix()
        if name in names:
            raise InputError(
                f"every name must occur once in a folder, got {names[name]} and {file}. "
                "Remove or rename one of them."
            )
        names[name] = file
    return names


def _example(found: dict[str, str]) -> str:
    return f"masks such as {next(iter(found))!r}" if found else "no mask at all"


def _bytes(root: Path, entry: MaskedFile) -> list[int]:
    paths = (root / entry.file, root / entry.mask)
    return [path.stat().st_size if path.is_file() else -1 for path in paths]

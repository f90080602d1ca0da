"""Sample sets of files on disk: photos with a class each, photos with a mask each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np

from project.core.losses import VOID
from project.data.decoding import Pixels, SampleError, read_mask, read_rgb, require_same_size
from project.data.eval_transform import Frame
from project.data.sample_set import SampleSet

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")


class LabelledFile(NamedTuple):
    """A photo, relative to the root, and its class as it is written in the source."""

    file: str
    label: str


class MaskedFile(NamedTuple):
    """A photo and its mask, relative to the root, and the sample's short name."""

    file: str
    mask: str
    name: str


class ClassificationFiles(SampleSet):
    """Photos with one class each.

    Args:
        root: folder that all files are relative to.
        files: photos and classes, in any order; they are sorted by file.
        class_names: one per class.
        frame: the evaluation transform.
        label_offset: the number of the first class in ``files`` (1 for 1-based labels).
        limit: see :class:`SampleSet`.
    """

    task = "classification"

    def __init__(
        self,
        root: Path,
        files: Sequence[LabelledFile],
        class_names: Sequence[str],
        *,
        frame: Frame,
        label_offset: int = 0,
        limit: int | None = None,
    ) -> None:
        self.root = root
        self.files = sorted(files)
        self.class_names = tuple(class_names)
        self.label_offset = label_offset
        super().__init__(_stems([entry.file for entry in self.files]), frame, limit)

    def read(self, index: int) -> tuple[Pixels, int]:
        """Decode the photo and check its class; see :class:`SampleSet`."""
        image = read_rgb(self.root / self.files[index].file)
        return image, self._class_index(self.files[index].label)

    def label(self, index: int) -> int:
        """Return the class without decoding the photo."""
        return self._class_index(self.files[index].label)

    def content(self) -> list[Any]:
        """Return files, sizes and labels, as plain data."""
        rows = [[*entry, _bytes(self.root / entry.file)] for entry in self.files]
        return [rows, self.label_offset]

    def where(self, index: int) -> str:
        """Return the photo's file."""
        return self.files[index].file

    def _class_index(self, label: str) -> int:
        try:
            class_index = int(label) - self.label_offset
        except ValueError as error:
            raise SampleError(f"a class must be an integer, got {label!r}") from error
        if not 0 <= class_index < self.num_classes:
            first = self.label_offset
            raise SampleError(
                f"class index must be in {first} … {first + self.num_classes - 1}, got {label} "
                "(labels that begin at 1 need label_offset 1)"
            )
        return class_index


class SegmentationFiles(SampleSet):
    """Photos with one mask each.

    Args:
        root: folder that all files are relative to.
        files: photos and masks, in any order; they are sorted by name.
        class_names: one per class.
        things: classes that count as objects for :meth:`salient_mask`.
        frame: the evaluation transform.
        ids: from the ids on disk to class ids (255 = void); any other id is an error. None: the
            classes as they are, and 255.
        limit: see :class:`SampleSet`.
    """

    task = "segmentation"

    def __init__(
        self,
        root: Path,
        files: Sequence[MaskedFile],
        class_names: Sequence[str],
        *,
        things: Collection[str],
        frame: Frame,
        ids: Mapping[int, int] | None = None,
        limit: int | None = None,
    ) -> None:
        self.root = root
        self.files = sorted(files, key=lambda entry: entry.name)
        self.class_names = tuple(class_names)
        self.things = tuple(things)
        known = {number: number for number in (*range(len(self.class_names)), VOID)}
        self.ids = dict(known if ids is None else ids)
        self._lookup = np.full(256, VOID, np.uint8)
        self._lookup[list(self.ids)] = list(self.ids.values())
        self._is_thing = np.zeros(256, np.uint8)
        self._is_thing[[self.class_names.index(thing) for thing in self.things]] = 1
        super().__init__([entry.name for entry in self.files], frame, limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode photo and mask and check that they fit; see :class:`SampleSet`."""
        image = read_rgb(self.root / self.files[index].file)
        mask = self._read_mask(index)
        require_same_size(image, mask, self.files[index].mask)
        return image, mask

    def content(self) -> list[Any]:
        """Return files, sizes and the meaning of the ids, as plain data."""
        rows = [
            [*entry, _bytes(self.root / entry.file), _bytes(self.root / entry.mask)]
            for entry in self.files
        ]
        return [rows, sorted(self.ids.items()), self.things]

    def where(self, index: int) -> str:
        """Return the photo's file."""
        return self.files[index].file

    def foreground(self, index: int) -> Pixels:
        """Return 1 where the mask has an object, 0 elsewhere."""
        return self._is_thing[self._read_mask(index)]

    def _read_mask(self, index: int) -> Pixels:
        file = self.files[index].mask
        try:
            mask = read_mask(self.root / file)
        except SampleError as error:
            raise SampleError(f"mask {file}: {error}") from error
        present = np.flatnonzero(np.bincount(mask.ravel(), minlength=256))
        unknown = [int(number) for number in present if int(number) not in self.ids]
        if unknown:
            raise SampleError(
                f"mask ids must be among {_ranges(sorted(self.ids))}, got {_ranges(unknown)} "
                f"({file})"
            )
        return self._lookup[mask]


def images_under(folder: Path, root: Path) -> list[str]:
    """List the image files anywhere under a folder, relative to the root, sorted."""
    return sorted(
        path.relative_to(root).as_posix()
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES
    )


def require_folder(folder: Path, holds: str) -> None:
    """Raise a clear error if a folder is not there.

    Raises:
        FileNotFoundError: naming the folder and what it must hold.
    """
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder} must be a folder with {holds}, but there is none. "
            "Set --data.root to the data set's folder."
        )


def _stems(files: Sequence[str]) -> list[str]:
    """Name files by their stems, or by paths without suffix where stems are not unique."""
    stems = [PurePosixPath(file).stem for file in files]
    if len(set(stems)) == len(stems):
        return stems
    return [PurePosixPath(file).with_suffix("").as_posix() for file in files]


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending integers briefly: 0–10, 255."""
    count = Counter(number - place for place, number in enumerate(numbers))
    parts, start = [], 0
    for length in count.values():
        first, last = numbers[start], numbers[start + length - 1]
        parts.append(str(first) if length == 1 else f"{first}–{last}")
        start += length
    return ", ".join(parts)

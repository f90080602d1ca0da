"""Sample sets of files on disk: photos with a class each, photos with a mask each."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from project.core.losses import VOID
from project.data.decoding import Pixels, Reading, SampleError, read_mask, require_same_size
from project.data.eval_transform import Frame
from project.data.file_set import FileSet, short_names

_NUMBER = re.compile(r"[+-]?[0-9]+")  # int() would take 1_0 and digits of other scripts too
_MOST_DIGITS = 20  # int() refuses thousands with an error of its own


class LabelledFile(NamedTuple):
    """A photo, relative to the root, its class as it is written in the source, and where it is."""

    file: str
    label: str
    source: str = ""


class MaskedFile(NamedTuple):
    """A photo and its mask, relative to the root, and the sample's short name."""

    file: str
    mask: str
    name: str


class ClassificationFiles(FileSet):
    """Photos with one class each.

    Args:
        root: folder that all files are relative to.
        files: photos and classes, in any order; they are sorted by file.
        class_names: one per class.
        frame: the evaluation transform.
        label_offset: the number of the first class in ``files`` (1 for 1-based labels).
        reading: how files are read.
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
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.files = sorted(files)
        self.class_names = tuple(class_names)
        self.label_offset = label_offset
        names = short_names([entry.file for entry in self.files])
        super().__init__(root, names, reading, frame, limit)

    def read(self, index: int) -> tuple[Pixels, int]:
        """Decode the photo and check its class; see :class:`SampleSet`."""
        return self._photo(index), self.label(index)

    def label(self, index: int) -> int:
        """Return the class without decoding the photo."""
        entry = self.files[index]
        return class_index(entry.label, self.label_offset, self.num_classes, entry.source)

    def content(self) -> list[Any]:
        """Return files, sizes and labels, as plain data."""
        rows = [
            [entry.file, entry.label, *self._bytes(index)] for index, entry in enumerate(self.files)
        ]
        return [rows, self.label_offset, *self.settings()]

    def files_of(self, index: int) -> tuple[str]:
        """Return the photo's file."""
        return (self.files[index].file,)


def class_index(label: str, first: int, count: int, source: str = "") -> int:
    """Return the class that a label means, counted from 0.

    Args:
        label: the class as it is written.
        first: the number of the first class.
        count: the number of classes.
        source: where the label stands, for the message.

    Raises:
        SampleError: if it is no integer, or no class has that number.
    """
    told = f" ({source})" if source else ""
    number = class_number(label, told) - first
    if not 0 <= number < count:
        raise SampleError(
            f"class index must be in {first} … {first + count - 1}, got "
            f"{label}{told} (labels that begin at 1 need label_offset 1)"
        )
    return number


def class_number(label: str, told: str = "") -> int:
    """Return the integer that a label is, whatever class it means.

    Raises:
        SampleError: if it is none.
    """
    if not _NUMBER.fullmatch(label) or len(label) > _MOST_DIGITS:
        raise SampleError(f"a class must be an integer, got {label!r}{told}")
    return int(label)


class SegmentationFiles(FileSet):
    """Photos with one mask each.

    Args:
        root: folder that all files are relative to.
        files: photos and masks, in any order; they are sorted by name.
        class_names: one per class.
        things: classes that count as objects for :meth:`salient_mask`.
        frame: the evaluation transform.
        ids: from the ids on disk to class ids (255 = void); any other id is an error. None: the
            classes as they are, and 255.
        reading: how files are read.
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
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.files = sorted(files, key=lambda entry: entry.name)
        self.class_names = tuple(class_names)
        self.things = tuple(things)
        known = {number: number for number in (*range(len(self.class_names)), VOID)}
        self.ids = dict(known if ids is None else ids)
        self._lookup = np.full(256, VOID, np.uint8)
        self._lookup[list(self.ids)] = list(self.ids.values())
        self._is_thing = np.zeros(256, np.uint8)
        self._is_thing[[self.class_names.index(thing) for thing in self.things]] = 1
        super().__init__(root, [entry.name for entry in self.files], reading, frame, limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode photo and mask and check that they fit; see :class:`SampleSet`."""
        image = self._photo(index)
        mask = self._read_mask(index)
        require_same_size(image, mask, self.files[index].mask, self.remark(index))
        return image, mask

    def content(self) -> list[Any]:
        """Return files, sizes and the meaning of the ids, as plain data."""
        rows = [[*entry, *self._bytes(index)] for index, entry in enumerate(self.files)]
        return [rows, sorted(self.ids.items()), self.things, *self.settings()]

    def files_of(self, index: int) -> tuple[str, str]:
        """Return the photo's file and the mask's."""
        return self.files[index].file, self.files[index].mask

    def stored_ids(self, index: int) -> frozenset[int]:
        """Return the ids of the sample's mask before they are mapped to classes."""
        return frozenset(
            np.unique(read_mask(self.root / self.files[index].mask, self.reading)).tolist()
        )

    def foreground(self, index: int) -> Pixels | None:
        """Return 1 where the mask has an object, 0 elsewhere; None where no class is an object."""
        if not self.things:
            return None
        return self._is_thing[self._read_mask(index)]

    def _read_mask(self, index: int) -> Pixels:
        file = self.files[index].mask
        try:
            mask = read_mask(self.root / file, self.reading)
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


def _ranges(numbers: Sequence[int]) -> str:
    """Write ascending integers briefly: 0–10, 255."""
    count = Counter(number - place for place, number in enumerate(numbers))
    parts, start = [], 0
    for length in count.values():
        first, last = numbers[start], numbers[start + length - 1]
        parts.append(str(first) if length == 1 else f"{first}–{last}")
        start += length
    return ", ".join(parts)

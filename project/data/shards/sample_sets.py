"""Sample sets of shards: photos with a class each, photos with a mask each."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from project.data.decoding import Pixels, Reading, SampleError, read_raster, require_same_size
from project.data.eval_transform import Frame
from project.data.file_set import PhotoSet
from project.data.files import class_index
from project.data.mask_classes import MaskClasses
from project.data.shards.shards import SampleShards
from project.data.verify import Problem


class ShardSet(PhotoSet):
    """Samples in shards.

    Args:
        shards: the samples.
        frame: the evaluation transform.
        reading: how photos are read.
        limit: see :class:`SampleSet`.
    """

    def __init__(
        self, shards: SampleShards, *, frame: Frame, reading: Reading | None, limit: int | None
    ) -> None:
        self.shards = shards
        super().__init__(shards.names, reading, frame, limit)

    def where(self, index: int) -> str:
        """Return the sample's shard and its key or row."""
        return self.shards.where(index)

    def state(self, index: int) -> tuple[int, ...]:
        """Return size and time of the sample's shard."""
        return self.shards.state(index)

    def problems(self) -> list[Problem]:
        """Return what is wrong with samples that would be served, as far as the index tells."""
        faults = {**self.shards.faults, **self.wrong_targets()}
        return [
            Problem(index, self.where(index), faults[index])
            for index in (self.indices if faults else ())
            if index in faults
        ]

    def wrong_targets(self) -> dict[int, str]:
        """Return which targets cannot be, and why, as far as the index tells."""
        return {}

    def _encoded(self, index: int) -> tuple[bytes, ...]:
        if index in self.shards.faults:
            raise SampleError(self.shards.faults[index])
        return self.shards.encoded(index)


class ClassificationShards(ShardSet):
    """Photos in shards with one class each.

    Args:
        shards: the samples.
        class_names: one per class.
        frame: the evaluation transform.
        label_offset: the number of the first class in the shards.
        reading: how photos are read.
        limit: see :class:`SampleSet`.
    """

    task = "classification"

    def __init__(
        self,
        shards: SampleShards,
        class_names: Sequence[str],
        *,
        frame: Frame,
        label_offset: int = 0,
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.class_names = tuple(class_names)
        self.label_offset = label_offset
        super().__init__(shards, frame=frame, reading=reading, limit=limit)

    def read(self, index: int) -> tuple[Pixels, int]:
        """Decode the photo and check its class; see :class:`SampleSet`."""
        (photo,) = self._encoded(index)
        return self._decoded(index, photo), self.label(index)

    def label(self, index: int) -> int:
        """Return the class, which the index knows."""
        stored = str(self.shards.labels[index])
        return class_index(stored, self.label_offset, self.num_classes)

    def content(self) -> list[Any]:
        """Return what the shards hold, and the first class."""
        return [*self.shards.content(), self.label_offset, *self.settings()]

    def wrong_targets(self) -> dict[int, str]:
        """Return the classes that there are not."""
        classes = self.shards.labels - self.label_offset
        found: dict[int, str] = {}
        for index in np.flatnonzero((classes < 0) | (classes >= self.num_classes)).tolist():
            if index not in self.shards.faults:
                try:
                    self.label(index)
                except SampleError as error:
                    found[index] = str(error)
        return found


class SegmentationShards(ShardSet):
    """Photos in shards with one mask each, whose values a map turns into classes.

    Args:
        shards: the samples.
        classes: what the masks' values mean.
        things: classes that count as objects; empty: there are no object masks.
        frame: the evaluation transform.
        reading: how photos and masks are read.
        limit: see :class:`SampleSet`.
    """

    task = "segmentation"

    def __init__(
        self,
        shards: SampleShards,
        classes: MaskClasses,
        *,
        things: Collection[str],
        frame: Frame,
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.classes = classes
        self.class_names = classes.names
        self.things = tuple(things)
        super().__init__(shards, frame=frame, reading=reading, limit=limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode photo and mask and check that they fit; see :class:`SampleSet`."""
        photo, mask = self._encoded(index)
        image, classes = self._decoded(index, photo), self._classes(mask)
        require_same_size(image, classes, "its mask", self.remark(index))
        return image, classes

    def content(self) -> list[Any]:
        """Return what the shards hold, and the meaning of masks."""
        values = sorted(self.classes.values.items())
        meaning = [self.classes.colours, values, self.things]
        return [*self.shards.content(), *meaning, *self.settings()]

    def stored_ids(self, index: int) -> frozenset[int]:
        """Return the ids of the sample's mask as they are stored; none where it has colours."""
        if self.classes.colours:
            return frozenset()
        picture = read_raster(self._encoded(index)[1], self.reading)
        return frozenset(np.unique(self.classes.stored(picture)).tolist())

    def foreground(self, index: int) -> Pixels | None:
        """Return 1 where the mask has an object, 0 elsewhere; None where no class is an object."""
        if not self.things:
            return None
        numbers = [self.class_names.index(thing) for thing in self.things]
        return np.isin(self._classes(self._encoded(index)[1]), numbers).astype(np.uint8)

    def _classes(self, mask: bytes) -> Pixels:
        try:
            return self.classes.classes_of(read_raster(mask, self.reading))
        except SampleError as error:
            raise SampleError(f"mask: {error}") from error

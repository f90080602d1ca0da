"""The embedded default data: shapes with a class or a mask, no download."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from project.core.choices import choose
from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Pixels
from project.data.eval_transform import Frame
from project.data.sample_set import RawTarget, SampleSet, Task
from project.data.shapes import DRAWING_VERSION, SHAPE_NAMES, Drawing, draw
from project.data.verify import OnError

_SPLITS = ("train", "val", "test")
_KEPT_BYTES = 2**26  # of drawings that a set keeps: 4,000 of 64², for a training's next epoch


class ShapeSet(SampleSet):
    """Procedural samples: sample ``index`` of a split is a function of (seed, split, index).

    Args:
        task: classification (one object, its class) or segmentation (several objects, the mask;
            class 0 is the background).
        split: ``train``, ``val`` or ``test``.
        count: number of samples.
        size: side of the square images in pixels.
        seed: of the drawings.
        shapes: names of the shapes, which are the classes.
        max_objects: 1 … max_objects stand in an image for segmentation.
        frame: the evaluation transform.
        limit: see :class:`SampleSet`.
    """

    def __init__(
        self,
        task: Task,
        split: str,
        *,
        count: int,
        size: int,
        seed: int,
        frame: Frame,
        shapes: Sequence[str] = SHAPE_NAMES,
        max_objects: int = 3,
        limit: int | None = None,
    ) -> None:
        self.task = task
        self.split = choose("split", _SPLITS, split)
        self.count = count
        self.size = size
        self.seed = seed
        self.shapes = tuple(shapes)
        self.max_objects = 1 if task == "classification" else max_objects
        self._drawn: dict[int, Drawing] = {}
        self.class_names = self.shapes if task == "classification" else ("background", *self.shapes)
        super().__init__([f"{split}_{index:05d}" for index in range(count)], frame, limit)

    def draw(self, index: int) -> Drawing:
        """Draw one sample, or return what was drawn of it, read-only."""
        if (drawn := self._drawn.get(index)) is not None:
            return drawn
        key = np.random.SeedSequence((self.seed, _SPLITS.index(self.split), index))
        random = np.random.Generator(np.random.PCG64(key))
        drawn = draw(random, self.size, self.max_objects, self.shapes)
        for pixels in (drawn.image, drawn.mask):
            pixels.setflags(write=False)
        if (len(self._drawn) + 1) * (drawn.image.nbytes + drawn.mask.nbytes) <= _KEPT_BYTES:
            self._drawn[index] = drawn
        return drawn

    def read(self, index: int) -> tuple[Pixels, RawTarget]:
        """Draw image and target; see :class:`SampleSet`."""
        drawing = self.draw(index)
        return drawing.image, drawing.last if self.task == "classification" else drawing.mask

    def foreground(self, index: int) -> Pixels:
        """Return 1 on the objects and on their rim, which is partly theirs."""
        return (self.draw(index).mask > 0).astype(np.uint8)

    def content(self) -> list[Any]:
        """Return as plain data what the drawings depend on."""
        return [DRAWING_VERSION, self.seed, self.split, self.size, self.max_objects, *self.shapes]

    def where(self, index: int) -> str:
        """Return the sample's name: there is no file."""
        return self.name(index)


class ShapesData(AttackDataModule):
    """Textured shapes on textured backgrounds, generated on the fly.

    Args:
        task: classification (one object in an image) or segmentation (with class 0, background).
        size: side of the square images in pixels.
        shapes: the K classes, of ``disc``, ``square``, ``triangle``, ``star``, ``ring``, ``cross``;
            None is all six.
        max_objects: 1 … max_objects stand in an image for segmentation.
        num_train: samples of the training split.
        num_val: samples of the validation split.
        num_test: samples of the test split.
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None keeps ``size``.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples.
        on_error: without effect here, since there are no files.
        verify: without effect here.
        seed: of the drawings, the training order and augmentation.
    """

    def __init__(
        self,
        task: Task = "classification",
        *,
        size: int = 64,
        shapes: list[str] | None = None,
        max_objects: int = 3,
        num_train: int = 2000,
        num_val: int = 200,
        num_test: int = 200,
        eval_split: Literal["train", "val", "test"] = "test",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        limit: int | None = None,
        on_error: OnError = "raise",
        verify: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            eval_split=eval_split,
            frame=frame,
            augment=augment,
            batch_size=batch_size,
            num_workers=num_workers,
            limit=limit,
            on_error=on_error,
            verify=verify,
            seed=seed,
        )
        for shape in shapes or ():
            choose("shapes", SHAPE_NAMES, shape)
        if shapes is not None and not 0 < len({*shapes}) == len(shapes):
            raise InputError(
                f"shapes must be different ones, at least one, got {shapes}. Correct --data.shapes."
            )
        if max_objects < 1:
            raise InputError(
                f"max_objects must be at least 1, got {max_objects}. Correct --data.max_objects."
            )
        self._task = task
        self.size = size
        self.shapes = tuple(shapes or SHAPE_NAMES)
        self.max_objects = max_objects
        self.num_train = num_train
        self.num_val = num_val
        self.num_test = num_test

    @property
    def task(self) -> Task:
        """``classification`` or ``segmentation``."""
        return self._task

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ShapeSet:
        """Describe a split; nothing is drawn yet."""
        counts = {"train": self.num_train, "val": self.num_val, "test": self.num_test}
        name = f"{split}"
        count = counts.get(name, 0)
        return ShapeSet(
            self.task,
            name,
            count=count,
            size=self.size,
            seed=self.seed,
            shapes=self.shapes,
            max_objects=self.max_objects,
            frame=frame,
            limit=limit,
        )

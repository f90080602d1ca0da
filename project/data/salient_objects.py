"""Saliency targets from any data set with object masks: its objects against the rest."""

from __future__ import annotations

from typing import Any

import numpy as np

from project.core.errors import InputError
from project.core.losses import VOID
from project.data.datamodule import AttackDataModule
from project.data.decoding import Pixels, Remark
from project.data.eval_transform import Frame
from project.data.sample_set import SampleSet


class SalientObjects(SampleSet):
    """A sample set with its own object masks as targets: 1 object, 0 background, 255 void.

    What the set counts as object is 1 even where the original target is void: the rim of the
    embedded shapes, for example, which is partly theirs.

    Args:
        samples: a set with object masks, see :meth:`SampleSet.foreground`.
    """

    task = "segmentation"

    def __init__(self, samples: SampleSet) -> None:
        self.samples = samples
        self.class_names = ("background", "object")
        super().__init__(samples.names, samples.frame, samples.limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode the image and its object mask; see :class:`SampleSet`."""
        image, target = self.samples.read(index)
        mask = self.foreground(index)
        if not isinstance(target, int):
            mask = np.where((target == VOID) & (mask == 0), np.uint8(VOID), mask)
        return image, mask

    def foreground(self, index: int) -> Pixels:
        """Return 1 on the objects, 0 elsewhere."""
        foreground = self.samples.foreground(index)
        if foreground is None:
            raise InputError(
                f"salient objects need a data set with object masks, got "
                f"{type(self.samples).__name__}, which has none. Choose another data set."
            )
        return foreground

    def content(self) -> list[Any]:
        """Return as plain data what the original set depends on."""
        return self.samples.content()

    def remark(self, index: int) -> Remark | None:
        """Return the original set's remark on the photo."""
        return self.samples.remark(index)

    def state(self, index: int) -> tuple[int, ...]:
        """Return the state of the original set's files."""
        return self.samples.state(index)

    def where(self, index: int) -> str:
        """Return the original set's name of the sample in messages."""
        return self.samples.where(index)


class SalientObjectData(AttackDataModule):
    """Any data set with object masks, as saliency training wants it: objects against the rest.

    Frame, augmentation, splits, batches and seed are those of the data set inside.

    Args:
        data: the data set, for example :class:`ShapesData` or :class:`VOCData`.
    """

    def __init__(self, data: AttackDataModule) -> None:
        super().__init__(
            eval_split=data.eval_split,
            frame=data.frame,
            augment=data.augment,
            batch_size=data.batch_size,
            num_workers=data.num_workers,
            limit=data.limit,
            on_error=data.on_error,
            verify=data.verify,
            seed=data.seed,
        )
        self.data = data
        self.train_split = data.train_split
        self.val_split = data.val_split

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SalientObjects:
        """List the samples of a split of the data set inside."""
        samples = SalientObjects(self.data.build(split, frame, limit))
        self.notices += [notice for notice in self.data.notices if notice not in self.notices]
        return samples

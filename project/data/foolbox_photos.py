"""Photos of ImageNet that lie inside of the package foolbox: a data set without a download."""

from __future__ import annotations

import re
from pathlib import Path

from project.core.errors import InputError
from project.core.packages import in_package
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.files import ClassificationFiles, LabelledFile
from project.data.synsets import imagenet_synsets
from project.data.verify import OnError

_PLACE = "foolbox/data"
_PHOTO = re.compile(r"imagenet_\d+_(?P<label>\d+)\.jpg")
_COUNT = 20


class FoolboxPhotos(AttackDataModule):
    """The 20 labelled photos of ImageNet that foolbox ships: enough to try things, not to measure.

    They are called ``imagenet_NUMBER_CLASS.jpg``; classes are numbered 0 … 999 in ImageNet's usual
    order. Nineteen are 512×512, one is 1024×683. No code of the package is run.

    Source: Rauber et al., "Foolbox Native", JOSS 2020, ``foolbox.samples`` [code].

    Args:
        frame: evaluation transform; None keeps the size on disk.
        augment: without effect here, since there is no split to train on.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: without effect here.
        reading: how files are read.

    Raises:
        InputError: if the package is not installed, or holds no such photos.
    """

    train_split = None
    val_split = None

    def __init__(
        self,
        *,
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 10,
        num_workers: int = 0,
        limit: int | None = None,
        on_error: OnError = "raise",
        verify: bool = True,
        seed: int = 0,
        reading: Reading | None = None,
    ) -> None:
        super().__init__(
            eval_split=None,
            frame=frame,
            augment=augment,
            batch_size=batch_size,
            num_workers=num_workers,
            limit=limit,
            on_error=on_error,
            verify=verify,
            seed=seed,
            reading=reading,
        )

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ClassificationFiles:
        """List the photos; see :class:`AttackDataModule`."""
        folder = in_package(_PLACE)
        files = _photos(folder) if folder is not None else []
        if folder is None or not files:
            raise InputError(
                "these photos lie in the package foolbox, which is not installed, or another one: "
                f"{folder or 'no foolbox/data'}. Install it: pip install foolbox==3.3.4, or all "
                "that the demo takes: pip install 'mirage-attacks[demo]'"
            )
        if len(files) != _COUNT:
            self.notice(f"{folder} has {len(files)} photos of ImageNet, and {_COUNT} as published.")
        return ClassificationFiles(
            folder,
            files,
            list(imagenet_synsets().values()),
            frame=frame,
            reading=self.reading,
            limit=limit,
        )


def _photos(folder: Path) -> list[LabelledFile]:
    found = (_PHOTO.fullmatch(path.name) for path in folder.iterdir())
    return [LabelledFile(match.string, match["label"]) for match in found if match]

"""Photos with a class each: a folder with a CSV of labels, or one folder per class."""

from __future__ import annotations

from pathlib import Path

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.class_folders import read_class_folders
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.files import ClassificationFiles
from project.data.labels_table import LabelColumns, LabelledFiles, read_labels
from project.data.verify import OnError

IMAGENET_CLASSES = 1000


class ImageListData(AttackDataModule):
    """A folder of photos with labels, in ImageNet's order unless you say otherwise.

    With ``labels``, a CSV names file and class of every photo, and ``eval_split`` and
    ``train_split`` choose rows by ``split_column``. Without, every photo lies in a folder of its
    class (``root/class/…``, or ``root/split/class/…``). Where all their names are the integers
    0 … K − 1, the name is the class; other classes are numbered by the sorted names of the folders
    (integers by value, which a notice tells). Hidden folders and those of systems are no classes.

    Args:
        root: folder that everything is relative to.
        labels: the CSV's path under ``root``; None for one folder per class.
        file_column: column with the photo's name.
        label_column: column with the class index.
        name_column: column with the class's name, used where it exists.
        split_column: column with the split, used where a split is asked for.
        file_pattern: from the entry of ``file_column`` to the path under ``root``, for example
            ``images/{}.png``; ``{COLUMN}`` is the entry of another column.
        label_offset: number of the first class in the CSV, or of folders that are integers: 1 for
            1-based labels such as those of the NIPS 2017 development set.
        num_classes: None is 1000 with a CSV, and the number of folders without. With folders that
            are integers below it, the name is the class though some are not there.
        train_split: split to train on; None where there is none.
        eval_split: split to evaluate on; None takes every photo. Also the validation split.
        frame: evaluation transform; None keeps the size on disk.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: of the training order and of augmentation.
        reading: how files are read: EXIF orientation, largest size, files outside of ``root``.
    """

    def __init__(
        self,
        root: str,
        *,
        labels: str | None = None,
        file_column: str = "file",
        label_column: str = "class_index",
        name_column: str = "class_name",
        split_column: str = "split",
        file_pattern: str = "{}",
        label_offset: int = 0,
        num_classes: int | None = None,
        train_split: str | None = None,
        eval_split: str | None = None,
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 8,
        num_workers: int = 0,
        limit: int | None = None,
        on_error: OnError = "raise",
        verify: bool = True,
        seed: int = 0,
        reading: Reading | None = None,
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
            reading=reading,
        )
        self.root = root
        self.labels = labels
        self.file_column = file_column
        self.label_column = label_column
        self.name_column = name_column
        self.split_column = split_column
        self.file_pattern = file_pattern
        self.label_offset = label_offset
        self._num_classes = num_classes
        self.train_split = train_split
        self.val_split = eval_split

    @property
    def num_classes(self) -> int:
        """Number of classes: the argument, or the default that it stands for."""
        return self._num_classes or super().num_classes

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ClassificationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        require_folder(root, "photos")
        found = self._from_folders(root, split) if self.labels is None else self._from_csv(split)
        for notice in found.notices:
            self.notice(notice)
        return ClassificationFiles(
            root,
            found.files,
            found.class_names,
            frame=frame,
            label_offset=0 if self.labels is None else self.label_offset,
            reading=self.reading,
            limit=limit,
        )

    def _from_csv(self, split: str | None) -> LabelledFiles:
        path = Path(self.root) / f"{self.labels}"
        if not path.exists():
            raise FileNotFoundError(
                f"{path} must be a CSV of labels, but there is none. Set --data.root and "
                "--data.labels, or leave labels out for one folder per class."
            )
        columns = LabelColumns(
            self.file_column, self.label_column, self.name_column, self.split_column
        )
        return read_labels(
            path,
            Path(self.root),
            columns,
            pattern=self.file_pattern,
            split=split,
            label_offset=self.label_offset,
            num_classes=self._num_classes or IMAGENET_CLASSES,
            reading=self.reading,
        )

    def _from_folders(self, root: Path, split: str | None) -> LabelledFiles:
        if self.file_pattern != "{}":
            raise InputError(
                f"file_pattern is for a CSV of labels, got {self.file_pattern!r} and no labels. "
                "Name the CSV with --data.labels, or leave file_pattern out."
            )
        others = [other for other in (self.train_split, self.eval_split) if other is not None]
        return read_class_folders(
            root,
            split,
            others if split is not None else [],
            num_classes=self._num_classes,
            label_offset=self.label_offset,
        )

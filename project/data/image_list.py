"""Photos with a class each: a folder with a CSV of labels, or one folder per class."""

from __future__ import annotations

import csv
from pathlib import Path

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.eval_transform import Frame
from project.data.files import ClassificationFiles, LabelledFile, images_under, require_folder
from project.data.verify import OnError

IMAGENET_CLASSES = 1000


class ImageListData(AttackDataModule):
    """A folder of photos with labels, in ImageNet's order unless you say otherwise.

    With ``labels``, a CSV names file and class of every photo, and ``eval_split`` and
    ``train_split`` choose rows by ``split_column``. Without, every photo lies in a folder of its
    class (``root/class/…``, or ``root/split/class/…``), and classes are numbered by the sorted
    names of these folders.

    Args:
        root: folder that everything is relative to.
        labels: the CSV's path under ``root``; None for one folder per class.
        file_column: column with the photo's name.
        label_column: column with the class index.
        name_column: column with the class's name, used where it exists.
        split_column: column with the split, used where a split is asked for.
        file_pattern: from the entry of ``file_column`` to the path under ``root``, for example
            ``images/{}.png``.
        label_offset: number of the first class in the CSV: 1 for 1-based labels such as those of
            the NIPS 2017 development set.
        num_classes: None is 1000 with a CSV, and the number of folders without.
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
        files, names = (
            self._from_folders(root, split)
            if self.labels is None
            else self._from_csv(root / self.labels, split)
        )
        offset = 0 if self.labels is None else self.label_offset
        return ClassificationFiles(
            root, files, names, frame=frame, label_offset=offset, limit=limit
        )

    def _from_csv(self, path: Path, split: str | None) -> tuple[list[LabelledFile], list[str]]:
        rows = _read_csv(path)
        wanted = [self.file_column, self.label_column]
        if split is not None:
            wanted.append(self.split_column)
        missing = [column for column in wanted if column not in rows[0]]
        if missing:
            raise InputError(
                f"{path} must have the columns {wanted}, got {list(rows[0])}. Set file_column, "
                "label_column or split_column to the names it uses."
            )
        if split is not None:
            rows = [row for row in rows if row[self.split_column] == split]
        files = [
            LabelledFile(self.file_pattern.format(row[self.file_column]), row[self.label_column])
            for row in rows
        ]
        return files, self._names_of(rows)

    def _names_of(self, rows: list[dict[str, str]]) -> list[str]:
        names = [str(number) for number in range(self._num_classes or IMAGENET_CLASSES)]
        for row in rows:
            label = row[self.label_column]
            if not label.isdecimal() or not row.get(self.name_column):
                continue
            number = int(label) - self.label_offset
            if 0 <= number < len(names):
                names[number] = row[self.name_column]
        return names

    def _from_folders(self, root: Path, split: str | None) -> tuple[list[LabelledFile], list[str]]:
        folder = root if split is None else root / split
        require_folder(folder, "one folder of photos per class")
        names = sorted(path.name for path in folder.iterdir() if path.is_dir())
        if not names:
            raise InputError(
                f"{folder} must hold one folder of photos per class, got none. Name the CSV of "
                "labels with --data.labels if the photos are labelled that way."
            )
        if self._num_classes is not None and len(names) != self._num_classes:
            raise InputError(
                f"{folder} must hold {self._num_classes} class folders (num_classes), got "
                f"{len(names)}. Leave num_classes out to use as many as there are."
            )
        files = [
            LabelledFile(file, str(number))
            for number, name in enumerate(names)
            for file in images_under(folder / name, root)
        ]
        return files, names


def _read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV with a header line.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it has no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must be a CSV of labels, but there is none. Set --data.root and "
            "--data.labels, or leave labels out for one folder per class."
        )
    with path.open(newline="", encoding="utf-8-sig") as stream:
        # A row that is too short holds None; too long ones keep the rest under None.
        rows = [
            {key: value or "" for key, value in row.items() if key is not None}
            for row in csv.DictReader(stream)
        ]
    if not rows:
        raise InputError(f"{path} must list at least one photo below its header, got none.")
    return rows

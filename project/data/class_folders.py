"""One folder of photos per class: which folders are classes, and how they are numbered."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_info

from project.core.errors import InputError
from project.core.folders import composed, subfolders
from project.data.file_set import require_folder
from project.data.files import LabelledFile
from project.data.labels_table import LabelledFiles
from project.data.pairing import photos_in

_INTEGER = re.compile(r"[0-9]{1,18}")
_SPLITS = frozenset({"train", "training", "val", "valid", "validation", "test", "testing", "dev"})
_SHOWN = 5  # classes that a message names


def read_class_folders(
    root: Path,
    split: str | None,
    splits: Sequence[str],
    *,
    num_classes: int | None,
    label_offset: int,
) -> LabelledFiles:
    """List photos by the folder of their class.

    Classes are those of all the splits, so that a class without photos in one does not shift the
    numbers of the others there.

    Args:
        root: the data set's folder.
        split: the folder in it that is listed; None: the root itself.
        splits: the splits that share classes.
        num_classes: the number of classes; None: as many as there are folders.
        label_offset: the number of the first class, where folders are integers.

    Raises:
        FileNotFoundError: if the folder is not there.
        InputError: if there are no classes, another number of them, or names that are one number.
    """
    folder = root if split is None else root / split
    require_folder(folder, "one folder of photos per class")
    here = _classes_in(folder)
    there = [_classes_in(root / other) for other in splits if (root / other).is_dir()]
    names = sorted({*here}.union(*there))
    _check(folder, names, split)
    numbers, notices = _numbers(folder, names, num_classes, label_offset)
    files = [
        LabelledFile(file, str(numbers[name]))
        for name, place in here.items()
        for file in photos_in(root, place if split is None else f"{split}/{place}")
    ]
    filled = {int(file.label) for file in files}
    empty = [name for name in names if numbers[name] not in filled]
    if files and empty:  # usual in a small split, but a folder of notes looks the same
        rank_zero_info(f"{folder} has no photo of {_few(empty)}, which count as classes.")
    class_names = [str(number + label_offset) for number in range(num_classes or len(names))]
    for name, number in numbers.items():
        class_names[number] = name
    return LabelledFiles(files, class_names, notices)


def _classes_in(folder: Path) -> dict[str, str]:
    """Map the names of classes, with composed accents, to their folders."""
    classes: dict[str, str] = {}
    for name in subfolders(folder):
        if composed(name) in classes:
            raise InputError(
                f"{folder} must have one folder per class, got two that are called {name!r} and "
                "write its accents in two ways. Put their photos into one."
            )
        classes[composed(name)] = name
    return classes


def _check(folder: Path, names: Sequence[str], split: str | None) -> None:
    if not names:
        raise InputError(
            f"{folder} must hold one folder of photos per class, got none. Name the CSV of "
            "labels with --data.labels if the photos are labelled that way."
        )
    if split is None and len(names) > 1 and {name.lower() for name in names} <= _SPLITS:
        raise InputError(
            f"{folder} must hold one folder of photos per class, got splits: {', '.join(names)}. "
            "Choose one with --data.eval_split (and --data.train_split)."
        )


def _numbers(
    folder: Path, names: Sequence[str], num_classes: int | None, label_offset: int
) -> tuple[dict[str, int], list[str]]:
    """Number the classes, and say so where the numbers are not what the names say."""
    integers = {name: int(name) for name in names if _INTEGER.fullmatch(name)}
    whole = len(integers) == len(names)
    if whole and len(set(integers.values())) < len(names):
        twice = [n for n in names if [*integers.values()].count(integers[n]) > 1]
        raise InputError(
            f"{folder} must have one folder per class, got {' and '.join(twice)}, which are one "
            "number. Rename them."
        )
    expected = range(label_offset, label_offset + (num_classes or len(names)))
    if whole and all(number in expected for number in integers.values()):
        return {name: number - label_offset for name, number in integers.items()}, []
    if label_offset:
        raise InputError(
            f"label_offset {label_offset} without labels needs class folders that are integers "
            f"from {expected[0]} to {expected[-1]}, got {_few(names)}. Leave it out, or set "
            "--data.num_classes."
        )
    if num_classes is not None and len(names) != num_classes:
        raise InputError(
            f"{folder} must hold {num_classes} class folders (num_classes), got {len(names)}. "
            "Leave num_classes out to use as many as there are."
        )
    if not whole:
        return {name: number for number, name in enumerate(names)}, []
    ordered = sorted(names, key=lambda name: integers[name])
    pairs = [f"{name} is class {number}" for number, name in enumerate(ordered)]
    notice = (
        f"class folders in {folder} are integers but not 0 … {len(names) - 1}, so they are "
        f"numbered in their order: {_few(pairs)}. If they are the labels, set --data.num_classes "
        "(and --data.label_offset)."
    )
    return {name: number for number, name in enumerate(ordered)}, [notice]


def _few(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more

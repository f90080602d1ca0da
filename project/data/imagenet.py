"""ImageNet (ILSVRC 2012) as its archives unpack, and as torchvision arranges it."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import scipy.io

from project.core.errors import InputError
from project.core.folders import subfolders
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.files import ClassificationFiles, LabelledFile
from project.data.lists import Line, read_list
from project.data.pairing import photos_in
from project.data.synsets import imagenet_synsets, in_a_table, in_class_folders, labelled
from project.data.verify import OnError

_PLACES = (
    "{split}",
    "ILSVRC2012_img_{split}",
    "Data/CLS-LOC/{split}",
    "ILSVRC/Data/CLS-LOC/{split}",
)
_TABLES = (
    "LOC_val_solution.csv",
    "ILSVRC2012_devkit_t12/data/ILSVRC2012_validation_ground_truth.txt",
    "data/ILSVRC2012_validation_ground_truth.txt",
)
_COUNTS = {"train": 1_281_167, "val": 50_000}
_NUMBERED = re.compile(r".*_(\d{8})")
_INDEX = re.compile(r"[0-9]{1,3}")
_META = "meta.mat"


class ImageNetData(AttackDataModule):
    """ImageNet's 1000 classes, numbered as pretrained networks number them.

    A split lies in ``<split>``, ``ILSVRC2012_img_<split>`` or, as Kaggle's archive has it,
    ``ILSVRC/Data/CLS-LOC/<split>``. There are folders called by WordNet ids, as torchvision and the
    training archive have them, of all classes or of some; or all photos lie in one folder, as the
    validation archive unpacks, and a table has their classes.

    Source: Russakovsky et al., "ImageNet Large Scale Visual Recognition Challenge", IJCV 2015;
    the order of the classes is that of timm's list, the sorted WordNet ids.

    Args:
        root: folder of the data set.
        labels: table of the classes of photos in one folder, under ``root``. Lines are photo and
            WordNet id (Kaggle's ``LOC_val_solution.csv``); photo and number from 0; or line k is
            the class of the photo number k, as WordNet id or, with ``meta.mat`` of the development
            kit beside it, as the kit's own number. None looks for Kaggle's table and then for the
            kit, ``ILSVRC2012_devkit_t12``.
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None keeps the size on disk, which differs between photos.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: of the training order and of augmentation.
        reading: how files are read: EXIF orientation, largest size.
    """

    def __init__(
        self,
        root: str,
        *,
        labels: str | None = None,
        eval_split: Literal["train", "val"] = "val",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 16,
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

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ClassificationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root, classes = Path(self.root), imagenet_synsets()
        require_folder(root, "ImageNet")
        files = self._files(root, f"{split}")
        self.tell_if_partial(f"{split}", len(files), _COUNTS[f"{split}"])
        return ClassificationFiles(
            root,
            files,
            list(classes.values()),
            frame=frame,
            reading=self.reading,
            limit=limit,
        )

    def _files(self, root: Path, split: str) -> list[LabelledFile]:
        places = [place.format(split=split) for place in _PLACES]
        place = next((place for place in places if (root / place).is_dir()), None)
        if place is None:
            raise FileNotFoundError(
                f"{root} must hold the photos of {split} in {', '.join(places)}, but has none of "
                "these folders. Set --data.root to the data set's folder."
            )
        numbers = {synset: number for number, synset in enumerate(imagenet_synsets())}
        folders = subfolders(root / place)
        if folders:
            return in_class_folders(root, place, folders, numbers)
        table = self._table(root, place)
        lines, _ = read_list(table)
        if lines and lines[0].entry.lower().startswith("imageid,"):
            lines = lines[1:]  # the header of Kaggle's table
        if lines and len(lines[0].entry.replace(",", " ").split()) > 1:
            return in_a_table(root, place, table, [_named(line) for line in lines], numbers)
        return _in_their_order(root, place, table, lines, numbers)

    def _table(self, root: Path, place: str) -> Path:
        names = _TABLES if self.labels is None else (self.labels,)
        table = next((root / name for name in names if (root / name).is_file()), None)
        if table is None:
            raise FileNotFoundError(
                f"{root} must hold the classes of the photos in {place}, in {' or '.join(names)}, "
                "but there is none. Unpack the development kit there, or set --data.labels."
            )
        return table


def _named(line: Line) -> Line:
    """Return a line of photo and class with the class's WordNet id, where it has a number."""
    name, *rest = line.entry.replace(",", " ").split()
    if rest and _INDEX.fullmatch(rest[0]):
        return Line(f"{name} {list(imagenet_synsets())[int(rest[0])]}", line.source)
    return line


def _in_their_order(
    root: Path, place: str, table: Path, lines: list[Line], numbers: dict[str, int]
) -> list[LabelledFile]:
    """List photos whose own numbers, from 1 on, are the lines of their classes."""
    meant = _kit_numbers(table) if lines and lines[0].entry.isdigit() else {}
    known = meant or numbers
    for line in lines:
        if line.entry not in known:
            raise InputError(
                f"{line.source}: must be the class of a photo, one of {len(known)}, got "
                f"{line.entry!r}."
            )
    classes: dict[str, int] = {}
    for photo in photos_in(root, place):
        stem = PurePosixPath(photo).stem
        found = _NUMBERED.fullmatch(stem)
        if found and 1 <= int(found[1]) <= len(lines):
            classes[stem] = known[lines[int(found[1]) - 1].entry]
    return labelled(root, place, table, classes)


def _kit_numbers(table: Path) -> dict[str, int]:
    """Return from the development kit's numbers of the classes, as text, to ours."""
    path = table.parent / _META
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} must stand beside {table.name} and say which classes its numbers are, but "
            "there is none. Unpack the whole development kit."
        )
    try:
        rows: Any = scipy.io.loadmat(path, squeeze_me=True)["synsets"]
        leaves = [row for row in rows if not row["num_children"]]
        pairs = {str(int(row["ILSVRC2012_ID"])): str(row["WNID"]) for row in leaves}
    except Exception as error:  # what a damaged file raises depends on its bytes
        raise InputError(
            f"{path}: is damaged or not the development kit's ({type(error).__name__}: {error}). "
            "Unpack it anew."
        ) from error
    order = {synset: number for number, synset in enumerate(imagenet_synsets())}
    strange = [synset for synset in pairs.values() if synset not in order]
    if strange:
        raise InputError(f"{path}: must name ImageNet's 1000 classes, got {strange[0]!r}.")
    return {number: order[synset] for number, synset in pairs.items()}

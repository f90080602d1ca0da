"""Cityscapes: street scenes with segmentation masks of 19 evaluated classes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Literal

from project.core.losses import VOID
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder, short_names
from project.data.files import MaskedFile, SegmentationFiles
from project.data.pairing import MASK_SUFFIXES, Lookup, only, photos_in, require_names_once
from project.data.verify import OnError

CITYSCAPES_CLASSES = (
    "road",
    "sidewalk",
    "building",
    "wall",
    "fence",
    "pole",
    "traffic light",
    "traffic sign",
    "vegetation",
    "terrain",
    "sky",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)
CITYSCAPES_THINGS = (
    "pole",
    "traffic light",
    "traffic sign",
    "person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
)

# The label ids of the evaluated classes, in the order of their train ids (cityscapesScripts,
# helpers/labels.py). All other labels, and −1 (stored as 255), are void.
_EVALUATED = (7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33)
LABEL_TO_TRAIN = (
    dict.fromkeys(range(34), VOID)
    | {VOID: VOID}
    | {label: train for train, label in enumerate(_EVALUATED)}
)

_PHOTO = "_leftImg8bit"


class CityscapesData(AttackDataModule):
    """Cityscapes as published, or one flat folder of it, in the 19 train ids.

    Photos ``leftImg8bit/<split>/<city>/*_leftImg8bit.png`` with masks of the same start under
    ``gtFine``; without a folder ``leftImg8bit``, every ``*_leftImg8bit.*`` in ``root`` with its
    mask beside it, whatever the split. Objects for the data set's own masks are poles, traffic
    lights and signs, people and vehicles.

    Source: Cordts et al., "The Cityscapes Dataset for Semantic Urban Scene Understanding",
    CVPR 2016.

    Args:
        root: folder with ``leftImg8bit`` and ``gtFine``, or the flat folder.
        masks: ``labelIds`` (as published, mapped to train ids here) or ``labelTrainIds``
            (prepared with cityscapesScripts).
        eval_split: see :class:`AttackDataModule`, as the rest. The published test split has no
            labels.
        frame: evaluation transform; None is the native 1024×2048.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: of the training order and of augmentation.
        reading: how files are read: EXIF orientation, largest size, files outside of ``root``.
    """

    def __init__(
        self,
        root: str,
        *,
        masks: Literal["labelIds", "labelTrainIds"] = "labelIds",
        eval_split: Literal["train", "val"] = "val",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 2,
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
        self.masks = masks

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SegmentationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        flat = not (root / "leftImg8bit").is_dir()
        folder = root if flat else root / "leftImg8bit" / f"{split}"
        require_folder(folder, "Cityscapes' photos")
        place = "." if flat else f"leftImg8bit/{split}"
        photos = [
            file
            for file in photos_in(root, place, beside="gtFine")
            if PurePosixPath(file).stem.endswith(_PHOTO)
        ]
        require_names_once(photos)
        lookup = Lookup(root)
        names = short_names([f"{PurePosixPath(photo).parent}/{_name(photo)}" for photo in photos])
        files = [
            MaskedFile(photo, self._mask(lookup, photo), name)
            for photo, name in zip(photos, names, strict=True)
        ]
        return SegmentationFiles(
            root,
            files,
            CITYSCAPES_CLASSES,
            things=CITYSCAPES_THINGS,
            frame=frame,
            ids=LABEL_TO_TRAIN if self.masks == "labelIds" else None,
            reading=self.reading,
            limit=limit,
        )

    def _mask(self, lookup: Lookup, photo: str) -> str:
        parts = PurePosixPath(photo).parent.parts
        folder = PurePosixPath(*("gtFine" if part == "leftImg8bit" else part for part in parts))
        published, short = (
            f"{folder}/{_name(photo)}{middle}_{self.masks}" for middle in ("_gtFine", "")
        )
        found = lookup.find(published, MASK_SUFFIXES) + lookup.find(short, MASK_SUFFIXES)
        return only(found, photo) or f"{published}.png"


def _name(photo: str) -> str:
    return PurePosixPath(photo).stem.removesuffix(_PHOTO)

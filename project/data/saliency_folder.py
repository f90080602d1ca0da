"""Salient object data: a folder of photos and a folder of object masks, as in DUTS."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import cv2
import numpy as np

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import (
    AS_STORED,
    Pixels,
    Reading,
    SampleError,
    read_rgb,
    require_same_size,
)
from project.data.eval_transform import Frame
from project.data.file_set import FileSet
from project.data.files import MaskedFile
from project.data.pairing import (
    IMAGE_SUFFIXES,
    pair_masks,
    photos_in,
    require_two_folders,
    split_suffix,
)
from project.data.verify import OnError


class SaliencyFolderData(AttackDataModule):
    """A folder of photos and a folder of masks of the same names: DUTS, or your own.

    Every ``val_share`` of the training photos, evenly spaced over the sorted list, is kept out of
    training for validation; the published training draws its 5 % at random [code].

    Source of DUTS: Wang et al., "Learning to Detect Salient Objects with Image-level Supervision",
    CVPR 2017; 10,553 photos in ``DUTS-TR``, 5,019 in ``DUTS-TE``.

    Args:
        root: folder that the four others are relative to.
        images: training photos, also in folders below; each needs a mask of its name (without
            suffix) at the same place under ``masks``. Masks without a photo are not used.
        masks: 8-bit grey masks, level 128 and above is the object.
        test_images: photos of the test split; None where there is no test split.
        test_masks: their masks.
        val_share: share of the training photos kept for validation, in (0, 1).
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None keeps the size on disk, which differs between photos.
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
        images: str = "DUTS-TR/DUTS-TR-Image",
        masks: str = "DUTS-TR/DUTS-TR-Mask",
        test_images: str | None = None,
        test_masks: str | None = None,
        val_share: float = 0.05,
        eval_split: Literal["train", "val", "test"] = "val",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 32,
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
        if not 0 < val_share < 1:
            raise InputError(
                f"val_share must be in (0, 1), got {val_share}. The published share is 0.05."
            )
        self.root = root
        self.images = images
        self.masks = masks
        self.test_images = test_images
        self.test_masks = test_masks
        self.val_share = val_share

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SaliencyFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        if split == "test":
            files = self._test_files(root)
        else:
            listed = pair_by_name(root, self.images, self.masks)
            kept = _evenly_spaced(len(listed), self.val_share)
            places = [place for place in range(len(listed)) if (place in kept) == (split == "val")]
            files = [listed[place] for place in places]
        return SaliencyFiles(root, files, frame=frame, reading=self.reading, limit=limit)

    def _test_files(self, root: Path) -> list[MaskedFile]:
        if self.test_images is None or self.test_masks is None:
            raise InputError(
                "the test split needs two folders, got test_images "
                f"{self.test_images!r} and test_masks {self.test_masks!r}. "
                "Set --data.test_images and --data.test_masks, or --data.eval_split val."
            )
        return pair_by_name(root, self.test_images, self.test_masks)


def _evenly_spaced(total: int, share: float) -> set[int]:
    """Choose evenly spaced positions of a list, at least one and never all."""
    if total < 2:
        raise InputError(
            f"training and validation need at least two photos, got {total}. Check --data.images."
        )
    count = min(max(round(share * total), 1), total - 1)
    return {number * total // count for number in range(count)}


_THRESHOLD = 128
_COLOUR = 8  # levels between channels that JPEG's rounding can make of a grey mask


class SaliencyFiles(FileSet):
    """Photos with one grey mask each: from level 128 on object, class 1, below background.

    Soft masks are cut there, since the IoU has its optimum at the mask only where that is 0 or 1.

    Args:
        root: folder that all files are relative to.
        files: photos and masks, in any order; they are sorted by name.
        frame: the evaluation transform.
        reading: how files are read.
        limit: see :class:`SampleSet`.
    """

    task = "segmentation"

    def __init__(
        self,
        root: Path,
        files: Sequence[MaskedFile],
        *,
        frame: Frame,
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.files = sorted(files, key=lambda entry: entry.name)
        self.class_names = ("background", "object")
        super().__init__(root, [entry.name for entry in self.files], reading, frame, limit)

    def read(self, index: int) -> tuple[Pixels, Pixels]:
        """Decode photo and mask and check that they fit; see :class:`SampleSet`."""
        image = self._photo(index)
        mask = self.foreground(index)
        require_same_size(image, mask, self.files[index].mask, self.remark(index))
        return image, mask

    def foreground(self, index: int) -> Pixels:
        """Return 1 on the object, 0 elsewhere."""
        file = self.files[index].mask
        try:
            return read_object_mask(self.root / file, self.reading)
        except SampleError as error:
            raise SampleError(f"mask {file}: {error}") from error

    def content(self) -> list[Any]:
        """Return files and sizes, as plain data."""
        rows = [[*entry, *self._bytes(index)] for index, entry in enumerate(self.files)]
        return [*rows, *self.settings()]

    def files_of(self, index: int) -> tuple[str, str]:
        """Return the photo's file and the mask's."""
        return self.files[index].file, self.files[index].mask


def pair_by_name(root: Path, images: str, masks: str) -> list[MaskedFile]:
    """List photos with the mask of the same name, sorted by name.

    A photo without a mask is listed with the mask that it should have, for verifying to find.

    Args:
        root: folder that the other two are relative to.
        images: folder of the photos.
        masks: folder of the masks.

    Raises:
        FileNotFoundError: if a folder is not there.
        ValueError: if both are one folder, a name occurs twice, or there is no photo.
    """
    require_two_folders(root, images, masks)
    photos = photos_in(root, images, beside=masks)
    if not photos:
        raise InputError(f"{root / images} must hold photos, got none. Check --data.images.")
    pairs = [
        entry._replace(name=_name_in(images, entry.file))
        for entry in pair_masks(root, photos, images, masks, IMAGE_SUFFIXES)
    ]
    if not any((root / entry.mask).exists() for entry in pairs):
        raise InputError(
            f"masks must have the names of the photos, got photos such as {pairs[0].name!r} "
            f"in {root / images} and {_example(root, masks)} in {root / masks}. "
            "Check --data.images and --data.masks."
        )
    return sorted(pairs, key=lambda entry: entry.name)


def read_object_mask(path: Path, reading: Reading = AS_STORED) -> Pixels:
    """Decode a grey mask of any file type and cut it at level 128.

    Returns:
        (H, W) uint8 of 0 and 1.

    Raises:
        SampleError: as :func:`read_rgb`; if the mask has colours, or its levels are 0 and 1.
    """
    levels = read_rgb(path, reading)
    if int(np.ptp(levels, axis=2).max()) > _COLOUR:
        raise SampleError(
            "an object mask must be grey, black for background and white for the object, got "
            "colours (is it a mask of classes, or a photo?)"
        )
    grey = cv2.cvtColor(levels, cv2.COLOR_RGB2GRAY)
    if int(grey.max()) == 1:
        raise SampleError(
            f"an object mask must have levels 0 … 255 with the object from {_THRESHOLD} on, got "
            "0 and 1 (multiply by 255)"
        )
    return (grey >= _THRESHOLD).astype(np.uint8)


def _name_in(folder: str, file: str) -> str:
    """Return a file's path in a folder, without suffix."""
    return split_suffix(PurePosixPath(file).relative_to(folder).as_posix())[0]


def _example(root: Path, masks: str) -> str:
    found = photos_in(root, masks)
    return f"masks such as {_name_in(masks, found[0])!r}" if found else "no mask at all"

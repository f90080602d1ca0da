"""Any folders of photos and masks, with a map from what masks hold to classes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Pixels, Reading, SampleError, read_raster
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.files import MaskedFile, SegmentationFiles
from project.data.mask_classes import Classes, MaskClasses, read_classes
from project.data.pairing import MASK_SUFFIXES, pair_masks, photos_in, split_suffix
from project.data.verify import OnError
from project.data.voc_list import read_voc_list

_SPLIT = "{split}"
_SHOWN = 3  # files that a message names


class MaskFolderFiles(SegmentationFiles):
    """Photos with one mask each, whose values a map turns into classes.

    Args:
        root: folder that all files are relative to.
        files: photos and masks, in any order; they are sorted by name.
        classes: what the masks' values mean.
        things: classes that count as objects; empty: there are no object masks.
        frame: the evaluation transform.
        reading: how files are read.
        limit: see :class:`SampleSet`.
    """

    def __init__(
        self,
        root: Path,
        files: Sequence[MaskedFile],
        classes: MaskClasses,
        *,
        things: Collection[str],
        frame: Frame,
        reading: Reading | None = None,
        limit: int | None = None,
    ) -> None:
        self.classes = classes
        super().__init__(
            root, files, classes.names, things=things, frame=frame, reading=reading, limit=limit
        )

    def content(self) -> list[Any]:
        """Return files, sizes and the map, as plain data."""
        kind = "colours" if self.classes.colours else "ids"
        return [*super().content(), kind, sorted(self.classes.values.items())]

    def stored_ids(self, index: int) -> frozenset[int]:
        """Return the ids of the sample's mask as they are stored; none where it has colours."""
        if self.classes.colours:
            return frozenset()
        picture = read_raster(self.root / self.files[index].mask, self.reading)
        return frozenset(np.unique(self.classes.stored(picture)).tolist())

    def _read_mask(self, index: int) -> Pixels:
        file = self.files[index].mask
        try:
            return self.classes.classes_of(read_raster(self.root / file, self.reading))
        except SampleError as error:
            raise SampleError(f"mask {file}: {error}") from error


class MaskFolderData(AttackDataModule):
    """Any folders of photos and masks, paired by their paths.

    The mask of ``images/a/b.jpg`` is ``masks/a/b.png`` (or BMP or TIFF), or ``masks/b.png`` where
    the folder of masks has no folders. Masks hold ids, grey of 8 or 16 bits or palette indices, or
    colours; ``classes`` says what they mean, and any value that it does not name is an error which
    says how often and in which file it occurs.

    Args:
        root: folder that everything is relative to.
        images: folder of the photos; ``{split}`` stands for the split's name, as in
            ``images/{split}``.
        masks: folder of the masks, likewise. It may be that of the photos where suffixes tell them
            apart.
        classes: names in the order of their ids; or a map from ids or colours to names or numbers
            of classes, null for void: ``{0: background, 255: object}``, ``{"128, 64, 128": road,
            "#e8232d": car}``; or the YAML file under ``root`` that holds either. Names are numbered
            by their first mention, and several values may have one name.
        ignore: further ids or colours, as they are stored, that are void; None is the id 255,
            unless ``classes`` names it.
        reduce_zero_label: whether id 0 is void and k is the id k - 1 of ``classes``.
        image_suffix: end of the photos' names, before the file's type, that masks do not have, such
            as ``_leftImg8bit``; other files in the folder are no photos.
        mask_suffix: end of the masks' names, such as ``_gtFine_labelIds``.
        lists: the split's list of photos, one stem or file per line, under ``root``, such as
            ``ImageSets/{split}.txt``; None takes all photos.
        things: classes that count as objects for the data set's own object masks; None: there are
            no object masks.
        train_split: split to train on; None: there is none.
        eval_split: split to evaluate on; None where there are no splits. Also the validation split.
        frame: evaluation transform; None keeps the size on disk, which may differ between photos.
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
        classes: str | list[str] | dict[str | int, str | int | None],
        images: str = "images",
        masks: str = "masks",
        ignore: list[int | str] | None = None,
        reduce_zero_label: bool = False,
        image_suffix: str = "",
        mask_suffix: str = "",
        lists: str | None = None,
        things: list[str] | None = None,
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
        for name, suffix in (("image_suffix", image_suffix), ("mask_suffix", mask_suffix)):
            if split_suffix(f"x{suffix}")[1] or "/" in suffix:
                raise InputError(
                    f"{name} is the end of a name before the file's type, got {suffix!r}. Leave "
                    "the type out: every kind of photo, and PNG, BMP and TIFF masks are found."
                )
        if images == masks and image_suffix == mask_suffix:
            raise InputError(
                f"photos and masks must lie in two folders or have two suffixes, got {images!r} "
                "for both. Set --data.images and --data.masks, or --data.mask_suffix."
            )
        splits = any(_SPLIT in place for place in (images, masks, lists or ""))
        chosen = train_split if eval_split is None else eval_split
        if splits != (chosen is not None):
            raise InputError(
                f"a split is chosen by its name in the place of {_SPLIT}, got eval_split "
                f"{eval_split!r} and train_split {train_split!r} with images {images!r}, masks "
                f"{masks!r} and lists {lists!r}. Set --data.eval_split, or write {_SPLIT} there."
            )
        self.root = root
        self.classes: Classes = classes
        self.images = images
        self.masks = masks
        self.ignore = ignore
        self.reduce_zero_label = reduce_zero_label
        self.image_suffix = image_suffix
        self.mask_suffix = mask_suffix
        self.lists = lists
        self.things = things
        self.train_split = train_split
        self.val_split = eval_split

    def build(self, split: str | None, frame: Frame, limit: int | None) -> MaskFolderFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        require_folder(root, "photos and masks")
        classes = read_classes(
            self.classes, root, ignore=self.ignore, reduce_zero_label=self.reduce_zero_label
        )
        require_things(self.things or (), classes)
        return MaskFolderFiles(
            root,
            self._files(root, split),
            classes,
            things=self.things or (),
            frame=frame,
            reading=self.reading,
            limit=limit,
        )

    def _files(self, root: Path, split: str | None) -> list[MaskedFile]:
        images, masks = self._named(self.images, split), self._named(self.masks, split)
        require_folder(root / images, "the photos")
        require_folder(root / masks, "the masks")
        suffixes = {"image_suffix": self.image_suffix, "mask_suffix": self.mask_suffix}
        if self.lists is not None:
            path = root / self._named(self.lists, split)
            files, repeated = read_voc_list(path, root, images, masks, self.reading, **suffixes)
            if repeated:
                self.notice(f"{path.name} lists {repeated} photos twice; each counts once.")
        else:
            beside = None if images == masks else masks
            photos = [file for file in photos_in(root, images, beside) if self._is_photo(file)]
            files = pair_masks(root, photos, images, masks, **suffixes)
        _require_masks(root, files, masks)
        if self.lists is None:
            self._tell_unused(root, files, masks)
        return files

    def _is_photo(self, file: str) -> bool:
        stem = split_suffix(file)[0]
        is_mask = self.images == self.masks and stem.endswith(self.mask_suffix or "\0")
        is_mask = is_mask and len(self.mask_suffix) >= len(self.image_suffix)
        return stem.endswith(self.image_suffix) and not is_mask

    def _tell_unused(self, root: Path, files: Sequence[MaskedFile], masks: str) -> None:
        """Tell which masks belong to no photo."""
        used = {entry.mask for entry in files}
        unused = [
            file
            for file in _masks_in(root, masks)
            if file not in used
            and split_suffix(file)[0].endswith(self.mask_suffix)
            and not (self.images == self.masks and self._is_photo(file))
        ]
        if unused:
            more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
            self.notice(
                f"{len(unused)} masks belong to no photo: {', '.join(unused[:_SHOWN])}{more}"
            )

    @staticmethod
    def _named(pattern: str, split: str | None) -> str:
        return pattern.replace(_SPLIT, f"{split}")


def require_things(things: Collection[str], classes: MaskClasses) -> None:
    """Check that what counts as objects are classes.

    Raises:
        InputError: naming what is none.
    """
    unknown = [thing for thing in things if thing not in classes.names]
    if unknown:
        raise InputError(
            f"things must be among the classes {', '.join(classes.names)}, got {unknown[0]!r}."
        )


def _masks_in(root: Path, masks: str) -> list[str]:
    return [file for file in photos_in(root, masks) if split_suffix(file)[1] in MASK_SUFFIXES]


def _require_masks(root: Path, files: Sequence[MaskedFile], masks: str) -> None:
    """Refuse a set in which no photo has a mask, since its names must be wrong.

    Raises:
        InputError: naming a photo, the mask that it should have, and one that is there.
    """
    if not files or any((root / entry.mask).exists() for entry in files):
        return
    there = _masks_in(root, masks)
    found = f"masks such as {PurePosixPath(there[0])}" if there else "no mask"
    raise InputError(
        f"masks must have the paths of the photos, got the photo {files[0].file}, whose mask would "
        f"be {files[0].mask}, and {found}. Check --data.masks, --data.image_suffix and "
        "--data.mask_suffix."
    )

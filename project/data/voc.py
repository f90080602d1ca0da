"""PASCAL VOC, and other photos with masks in its 21 classes."""

from __future__ import annotations

from pathlib import Path

from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.files import SegmentationFiles
from project.data.pairing import pair_masks, photos_in, require_two_folders
from project.data.verify import OnError
from project.data.voc_list import read_voc_list

VOC_CLASSES = (
    "background",
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


class VOCData(AttackDataModule):
    """PASCAL VOC 2012 segmentation as published, 21 classes, rims 255.

    ``JPEGImages``, palette PNGs of the same stem in ``SegmentationClass``, and a list of stems per
    split in ``ImageSets/Segmentation``. Objects for the data set's own masks are all classes but
    the background.

    Source: Everingham et al., "The PASCAL Visual Object Classes Challenge: A Retrospective",
    IJCV 2015.

    Args:
        root: folder ``VOC2012``.
        images: folder of the photos under ``root``.
        masks: folder of the masks under ``root``.
        lists: folder of the splits' lists under ``root``: on each line a stem, a photo's file, or
            the files of photo and mask. None takes every photo, and there is no split to train on.
        train_split: list to train on, for example ``trainaug``.
        eval_split: list to evaluate on; also the validation split.
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
        images: str = "JPEGImages",
        masks: str = "SegmentationClass",
        lists: str | None = "ImageSets/Segmentation",
        train_split: str | None = "train",
        eval_split: str = "val",
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
        self.images = images
        self.masks = masks
        self.lists = lists
        self.train_split = None if lists is None else train_split
        self.val_split = eval_split

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SegmentationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        require_two_folders(root, self.images, self.masks)
        if self.lists is None:
            photos = photos_in(root, self.images, beside=self.masks)
            files = pair_masks(root, photos, self.images, self.masks)
        else:
            path = root / self.lists / f"{split}.txt"
            files, repeated = read_voc_list(path, root, self.images, self.masks, self.reading)
            if repeated:
                self.notice(f"{path.name} lists {repeated} photos twice; each counts once.")
        return SegmentationFiles(
            root,
            files,
            VOC_CLASSES,
            things=VOC_CLASSES[1:],
            frame=frame,
            reading=self.reading,
            limit=limit,
        )

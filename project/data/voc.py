"""PASCAL VOC, and other photos with masks in its 21 classes."""

from __future__ import annotations

from pathlib import Path

from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.eval_transform import Frame
from project.data.files import MaskedFile, SegmentationFiles, images_under, require_folder
from project.data.verify import OnError

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
        lists: folder of the splits' lists under ``root``; None takes every photo, and there is no
            split to train on.
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
        self.images = images
        self.masks = masks
        self.lists = lists
        self.train_split = None if lists is None else train_split
        self.val_split = eval_split

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SegmentationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        require_folder(root / self.images, "the photos")
        require_folder(root / self.masks, "the masks")
        if self.lists is None:
            photos = images_under(root / self.images, root)
        else:
            stems = _read_list(root / self.lists / f"{split}.txt")
            photos = [f"{self.images}/{stem}.jpg" for stem in stems]
        files = [
            MaskedFile(photo, f"{self.masks}/{Path(photo).stem}.png", Path(photo).stem)
            for photo in photos
        ]
        return SegmentationFiles(
            root, files, VOC_CLASSES, things=VOC_CLASSES[1:], frame=frame, limit=limit
        )


def _read_list(path: Path) -> list[str]:
    if not path.is_file():
        found = sorted(other.stem for other in path.parent.glob("*.txt"))
        raise FileNotFoundError(
            f"{path} must list the photos of a split, but there is none; the lists there are: "
            f"{found}. Set --data.root, or --data.eval_split or train_split to one of them."
        )
    return [line.split()[0] for line in path.read_text().splitlines() if line.strip()]

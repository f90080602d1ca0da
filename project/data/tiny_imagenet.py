"""Tiny ImageNet as it is published: 200 of ImageNet's classes at 64×64."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from project.core.choices import choose
from project.core.folders import subfolders
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.files import ClassificationFiles, LabelledFile
from project.data.lists import read_list
from project.data.synsets import in_a_table, in_class_folders, read_synsets
from project.data.verify import OnError

_COUNTS = {"train": 100_000, "val": 10_000}
_ANNOTATIONS = "val_annotations.txt"


class TinyImageNetData(AttackDataModule):
    """Tiny ImageNet as ``tiny-imagenet-200.zip`` unpacks: 500 photos of each class to train on.

    ``train/<id>/images`` holds those of a class, ``val/images`` those of validation, whose
    classes ``val/val_annotations.txt`` names; ``val/<id>``, as many scripts move them, is read too.
    The published test split has no labels, so it is not read.

    Source: Le & Yang, "Tiny ImageNet Visual Recognition Challenge", Stanford CS 231N, 2015.

    Args:
        root: folder ``tiny-imagenet-200``.
        order: how classes are numbered: ``sorted`` by WordNet id, as torchvision's folders of
            classes are, or as ``wnids.txt`` lists them. A victim's training decides.
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None keeps 64×64.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: of the training order and of augmentation.
        reading: how files are read: EXIF orientation, largest size.
    """

    def __init__(
        self,
        root: str,
        *,
        order: Literal["sorted", "wnids"] = "sorted",
        eval_split: Literal["train", "val"] = "val",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 64,
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
        self.order = choose("order", ("sorted", "wnids"), order)

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ClassificationFiles:
        """List the photos of a split; see :class:`AttackDataModule`."""
        root = Path(self.root)
        require_folder(root / f"{split}", "Tiny ImageNet's photos")
        listed = list(read_synsets(root / "wnids.txt"))
        synsets = sorted(listed) if self.order == "sorted" else listed
        words = root / "words.txt"
        names = read_synsets(words) if words.exists() else {}
        numbers = {synset: number for number, synset in enumerate(synsets)}
        files = self._files(root, f"{split}", numbers)
        self.tell_if_partial(f"{split}", len(files), _COUNTS[f"{split}"])
        return ClassificationFiles(
            root,
            files,
            [names.get(synset) or synset for synset in synsets],
            frame=frame,
            reading=self.reading,
            limit=limit,
        )

    def _files(self, root: Path, split: str, numbers: dict[str, int]) -> list[LabelledFile]:
        table = root / split / _ANNOTATIONS
        inside = [name for name in subfolders(root / split) if name != "images"]
        if split == "val" and not inside:
            return in_a_table(root, f"{split}/images", table, read_list(table)[0], numbers)
        return in_class_folders(root, split, inside, numbers)

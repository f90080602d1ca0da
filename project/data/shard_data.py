"""Photos in shards, with a class each or a mask each: WebDataset's tars, or Parquet files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Reading
from project.data.eval_transform import Frame
from project.data.file_set import require_folder
from project.data.image_list import IMAGENET_CLASSES
from project.data.mask_classes import Classes, read_classes
from project.data.mask_folder import require_things
from project.data.shards.names import find_shards
from project.data.shards.parquet import ParquetShards, ShardColumns
from project.data.shards.sample_sets import ClassificationShards, SegmentationShards, ShardSet
from project.data.shards.shards import SampleShards
from project.data.shards.tar import TarShards
from project.data.shards.tar_scan import Fields
from project.data.verify import OnError, refuse_or_skip

_SPLIT = "{split}"
_PHOTOS = "jpg;jpeg;png;webp;bmp;tif;tiff;ppm"
_MASKS = "seg.png;mask.png"


class _Shards(AttackDataModule):
    """What both kinds share: where shards are, and that each sample in them is whole."""

    shards: str | list[str] | None
    image: str | None
    keys_per_shard: bool

    def _require_split(self) -> None:
        """Check that a split is named if, and only if, the shards' names depend on it."""
        chosen = self.train_split if self.eval_split is None else self.eval_split
        if any(_SPLIT in one for one in self._patterns()) != (chosen is not None):
            raise InputError(
                f"a split is chosen by its name in the place of {_SPLIT}, got eval_split "
                f"{self.eval_split!r} and train_split {self.train_split!r} with shards "
                f"{self.shards!r}. Set --data.eval_split, or write {_SPLIT} in --data.shards."
            )

    def _patterns(self) -> Sequence[str]:
        if self.shards is None:
            return ["."]
        return [self.shards] if isinstance(self.shards, str) else self.shards

    def _listed_shards(
        self, split: str | None, target: str | None, label_key: str | None, *, mask: bool
    ) -> SampleShards:
        """List the samples of a split, by the kind of its shards."""
        root = Path(self.root)
        require_folder(root, "shards, .tar or .parquet")
        patterns = [one.replace(_SPLIT, f"{split}") for one in self._patterns()]
        found = find_shards(root, patterns, self.reading)
        if PurePosixPath(found[0]).suffix.lower() == ".tar":
            fields = Fields(
                _fields(self.image or _PHOTOS),
                _fields(target or (_MASKS if mask else "cls")),
                mask,
                label_key or "label",
            )
            return TarShards(root, found, fields, keys_per_shard=self.keys_per_shard)
        if label_key is not None or self.keys_per_shard:
            raise InputError(
                f"label_key and keys_per_shard are for tars, got {found[0]}. Leave them out."
            )
        columns = ShardColumns(self.image or "image", target or ("mask" if mask else "label"), mask)
        return ParquetShards(root, found, columns)

    def _whole(self, samples: ShardSet) -> None:
        """Refuse or leave out samples of which the index tells that they cannot be used."""
        for notice in refuse_or_skip(samples, samples.problems(), self.on_error):
            self.notices += [] if notice in self.notices else [notice]


class ShardData(_Shards):
    """Photos with a class each in shards: WebDataset's tars, or Parquet files of Hugging Face.

    Any sample is read by itself, so dealing, limits, shuffling and resuming are those of files. A
    tar is scanned once, and what lies where is kept in ``.cache/shards``. Its samples are members
    of one key, as in ``n0144/7.jpg`` and ``n0144/7.cls``; those of a Parquet file are rows, of
    which a whole row group is read at a time.

    Source: https://github.com/webdataset/webdataset for the tars' convention.

    Args:
        root: folder that shards are relative to.
        shards: their paths, in which braces hold a range or a list, as in
            ``imagenet-{000000..000146}.tar``, ``*`` stands for any characters, and ``{split}`` for
            the split's name; a folder stands for all shards below it. None: all below ``root``.
        image: field of a tar that is the photo, such as ``input.jpg``, several with ``;`` between
            them; or the column of a Parquet file. None: ``jpg``, ``png`` and the like, or
            ``image``.
        label: field or column of the class. None: ``cls``, or ``label``.
        label_key: entry of a JSON field, such as ``json``, that is the class, with dots where it
            lies deeper; None: ``label``.
        num_classes: None is as many as the Parquet files name, and 1000 where there are no names.
        label_offset: number of the first class in the shards.
        keys_per_shard: whether each tar counts its keys for itself, so that they may occur again.
        train_split: split to train on; None where there is none.
        eval_split: split to evaluate on; None takes all shards. Also the validation split.
        frame: evaluation transform; None keeps the size on disk.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs. Missing photos and classes, and classes
            out of range, are found without.
        seed: of the training order and of augmentation.
        reading: how photos are read: EXIF orientation, largest size, shards outside of ``root``.
    """

    def __init__(
        self,
        root: str,
        *,
        shards: str | list[str] | None = None,
        image: str | None = None,
        label: str | None = None,
        label_key: str | None = None,
        num_classes: int | None = None,
        label_offset: int = 0,
        keys_per_shard: bool = False,
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
        self.root = root
        self.shards = shards
        self.image = image
        self.keys_per_shard = keys_per_shard
        self.train_split = train_split
        self.val_split = eval_split
        self._require_split()
        self.label = label
        self.label_key = label_key
        self.label_offset = label_offset
        self._num_classes = num_classes

    @property
    def num_classes(self) -> int:
        """Number of classes: the argument, or what it stands for."""
        return self._num_classes or super().num_classes

    def build(self, split: str | None, frame: Frame, limit: int | None) -> ClassificationShards:
        """List the samples of a split; see :class:`AttackDataModule`."""
        shards = self._listed_shards(split, self.label, self.label_key, mask=False)
        named = shards.class_names if isinstance(shards, ParquetShards) else ()
        count = self._num_classes or len(named) or IMAGENET_CLASSES
        samples = ClassificationShards(
            shards,
            named if len(named) == count else [str(number) for number in range(count)],
            frame=frame,
            label_offset=self.label_offset,
            reading=self.reading,
            limit=limit,
        )
        self._whole(samples)
        return samples


class MaskShardData(_Shards):
    """Photos with a mask each in shards: WebDataset's tars, or Parquet files of Hugging Face.

    See :class:`ShardData` for shards, and :class:`MaskFolderData` for what masks may hold.

    Args:
        root: folder that shards are relative to.
        classes: what masks hold: names in the order of their ids, or a map from ids or colours; or
            the YAML file under ``root`` that holds either.
        shards: their paths; None: all below ``root``.
        image: field or column of the photo; None: ``jpg``, ``png`` and the like, or ``image``.
        mask: field or column of the mask; None: ``seg.png`` or ``mask.png``, or ``mask``.
        ignore: further ids or colours, as they are stored, that are void; None is the id 255,
            unless ``classes`` names it.
        reduce_zero_label: whether id 0 is void and k is the id k - 1 of ``classes``.
        things: classes that count as objects for the data set's own object masks; None: there are
            no object masks.
        keys_per_shard: whether each tar counts its keys for itself, so that they may occur again.
        train_split: split to train on; None where there is none.
        eval_split: split to evaluate on; None takes all shards. Also the validation split.
        frame: evaluation transform; None keeps the size on disk, which may differ between photos.
        augment: training augmentation.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs. Missing photos and masks are found
            without.
        seed: of the training order and of augmentation.
        reading: how pictures are read: EXIF orientation, largest size, shards outside of ``root``.
    """

    def __init__(
        self,
        root: str,
        *,
        classes: str | list[str] | dict[str | int, str | int | None],
        shards: str | list[str] | None = None,
        image: str | None = None,
        mask: str | None = None,
        ignore: list[int | str] | None = None,
        reduce_zero_label: bool = False,
        things: list[str] | None = None,
        keys_per_shard: bool = False,
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
        self.root = root
        self.shards = shards
        self.image = image
        self.keys_per_shard = keys_per_shard
        self.train_split = train_split
        self.val_split = eval_split
        self._require_split()
        self.classes: Classes = classes
        self.mask = mask
        self.ignore = ignore
        self.reduce_zero_label = reduce_zero_label
        self.things = things

    def build(self, split: str | None, frame: Frame, limit: int | None) -> SegmentationShards:
        """List the samples of a split; see :class:`AttackDataModule`."""
        classes = read_classes(
            self.classes,
            Path(self.root),
            ignore=self.ignore,
            reduce_zero_label=self.reduce_zero_label,
        )
        require_things(self.things or (), classes)
        samples = SegmentationShards(
            self._listed_shards(split, self.mask, None, mask=True),
            classes,
            things=self.things or (),
            frame=frame,
            reading=self.reading,
            limit=limit,
        )
        self._whole(samples)
        return samples


def _fields(text: str) -> tuple[str, ...]:
    """Return the fields of a tar that an option names."""
    names = tuple(name.strip().strip(".").lower() for name in text.split(";"))
    if not all(names) or any("/" in name for name in names):
        raise InputError(
            f"a field of a tar is the end of a member's name, such as 'jpg' or 'seg.png', got "
            f"{text!r}. Write several with ';' between them."
        )
    return names

"""CIFAR-10 and CIFAR-100 from the Python files in which they are published."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import torchvision.datasets as tv
from numpy.typing import NDArray
from torchvision.datasets.utils import download_and_extract_archive

from project.core.choices import choose
from project.core.errors import InputError, first_line
from project.core.folders import FileError, read_regular
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Pixels
from project.data.eval_transform import Frame
from project.data.sample_set import SampleSet
from project.data.verify import OnError

_SIDE = 32
_VALUES = 3 * _SIDE * _SIDE
Variant = Literal["cifar10", "cifar100"]


class _Published(NamedTuple):
    """What torchvision knows of a variant, and how its files name labels and classes."""

    dataset: Any
    labels: str
    names: str
    classes: int


_VARIANTS: Mapping[str, _Published] = {
    "cifar10": _Published(tv.CIFAR10, "labels", "label_names", 10),
    "cifar100": _Published(tv.CIFAR100, "fine_labels", "fine_label_names", 100),
}
_COUNTS = {"train": 50_000, "test": 10_000}


class CIFARSet(SampleSet):
    """Photos of 32×32 with one class each, held in memory.

    Args:
        files: the files that they are read from.
        pixels: (N, 32, 32, 3) uint8.
        labels: (N,) int64.
        class_names: one per class.
        split: the split's name, with which samples are named.
        frame: the evaluation transform.
        limit: see :class:`SampleSet`.
    """

    task = "classification"

    def __init__(
        self,
        files: Sequence[Path],
        pixels: Pixels,
        labels: NDArray[np.int64],
        class_names: Sequence[str],
        *,
        split: str,
        frame: Frame,
        limit: int | None = None,
    ) -> None:
        self.files = tuple(files)
        self.pixels = pixels
        self.labels = labels
        self.class_names = tuple(class_names)
        super().__init__([f"{split}_{k:05d}" for k in range(len(labels))], frame, limit)

    def read(self, index: int) -> tuple[Pixels, int]:
        """Return photo and class; see :class:`SampleSet`."""
        return self.pixels[index], self.label(index)

    def label(self, index: int) -> int:
        """Return the class."""
        return int(self.labels[index])

    def content(self) -> list[Any]:
        """Return a hash of all pixels, and the labels."""
        return [hashlib.sha256(self.pixels.tobytes()).hexdigest(), self.labels.tolist()]

    def state(self, index: int) -> tuple[int, ...]:
        """Return nothing: photos in memory do not change when their files do."""
        return ()

    def where(self, index: int) -> str:
        """Return the sample's name: a file holds thousands."""
        return self.name(index)


class CIFARData(AttackDataModule):
    """CIFAR-10 or CIFAR-100: 50,000 photos of 32×32 to train on, 10,000 to test.

    Read are the files that torchvision unpacks too, ``cifar-10-batches-py`` or
    ``cifar-100-python``. They are pickles, which may hold programs; these are refused, not run.

    Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", 2009.

    Args:
        root: folder that the published folder lies in, or that folder itself.
        variant: ``cifar10`` or ``cifar100`` (its 100 fine classes).
        held_out: as many of the last training photos are the split ``val``, and not trained on; 0
            validates on the test split, which then chooses checkpoints.
        download: whether to fetch the published archive by torchvision where there is no folder.
        eval_split: see :class:`AttackDataModule`, as the rest.
        frame: evaluation transform; None keeps 32×32.
        augment: training augmentation; the field's is :class:`PaddedCrop`.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many samples.
        on_error: what to do about samples that cannot be used.
        verify: bring every sample into the frame before anything runs.
        seed: of the training order and of augmentation.
    """

    def __init__(
        self,
        root: str,
        *,
        variant: Variant = "cifar10",
        held_out: int = 0,
        download: bool = False,
        eval_split: Literal["train", "val", "test"] = "test",
        frame: Frame | None = None,
        augment: Augmentation | None = None,
        batch_size: int = 128,
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
        choose("variant", _VARIANTS, variant)
        if held_out < 0 or (eval_split == "val" and not held_out):
            raise InputError(
                f"the split val is made of held_out training photos, got held_out {held_out} and "
                f"eval_split {eval_split}. Set --data.held_out, such as 1000."
            )
        self.root = root
        self.variant = variant
        self.held_out = held_out
        self.download = download
        self.val_split = "val" if held_out else "test"

    def build(self, split: str | None, frame: Frame, limit: int | None) -> CIFARSet:
        """Read the photos of a split; see :class:`AttackDataModule`."""
        published = _VARIANTS[self.variant]
        folder = self._folder(published.dataset)
        source = "test" if split == "test" else "train"
        listed = published.dataset.test_list if source == "test" else published.dataset.train_list
        files = [folder / name for name, _ in listed]
        names = _class_names(folder / published.dataset.meta["filename"], published)
        parts = [_photos(path, published) for path in files]
        pixels = np.concatenate([part[0] for part in parts])
        labels = np.concatenate([part[1] for part in parts])
        self.tell_if_partial(source, len(labels), _COUNTS[source])
        kept = self._kept(f"{split}", len(labels))
        return CIFARSet(
            files, pixels[kept], labels[kept], names, split=f"{split}", frame=frame, limit=limit
        )

    def _kept(self, split: str, count: int) -> slice:
        """Return which photos of a file belong to a split."""
        if split == "test":
            return slice(None)
        if self.held_out >= count:
            raise InputError(
                f"held_out must leave photos to train on, got {self.held_out} of {count}. Set "
                "--data.held_out lower."
            )
        first = count - self.held_out
        return slice(first, None) if split == "val" else slice(first)

    def _folder(self, dataset: Any) -> Path:
        root = Path(self.root)
        folder = root if root.name == dataset.base_folder else root / dataset.base_folder
        if folder.is_dir():
            return folder
        if self.download and os.environ.get("LOCAL_RANK", "0") == "0":
            _fetch(dataset, folder.parent)
        if not folder.is_dir():
            raise FileNotFoundError(
                f"{folder} must be the folder that {dataset.filename} unpacks to, but there is "
                "none. Unpack it in --data.root, or fetch it with --data.download true."
            )
        return folder


def _fetch(dataset: Any, root: Path) -> None:
    """Fetch and unpack the published archive, whose checksum torchvision knows."""
    try:
        download_and_extract_archive(
            dataset.url, root, filename=dataset.filename, md5=dataset.tgz_md5
        )
    except (OSError, RuntimeError) as error:
        raise InputError(
            f"{dataset.url} cannot be fetched ({error}). Fetch it elsewhere, and unpack it in "
            f"{root}."
        ) from error


def _photos(path: Path, published: _Published) -> tuple[Pixels, NDArray[np.int64]]:
    """Return the photos (N, 32, 32, 3) uint8 of a file, and their classes (N,)."""
    entry = _unpickled(path)
    data, labels = entry.get("data"), entry.get(published.labels)
    if (
        not isinstance(data, np.ndarray)
        or data.dtype != np.uint8
        or data.shape[1:] != (_VALUES,)
        or not len(data)
    ):
        told = f"{data.dtype} {data.shape}" if isinstance(data, np.ndarray) else type(data).__name__
        raise InputError(f"{path}: data must be uint8 (N, {_VALUES}), got {told}. {_REPAIR}")
    if not isinstance(labels, list) or len(labels) != len(data):
        told = f"{len(labels)}" if isinstance(labels, list) else "none"
        raise InputError(
            f"{path}: each of its {len(data)} photos must have a class in {published.labels!r}, "
            f"got {told}. {_REPAIR}"
        )
    for place, label in enumerate(labels):
        if type(label) is not int or not 0 <= label < published.classes:
            raise InputError(
                f"{path}: classes must be in 0 … {published.classes - 1}, got {label!r} for photo "
                f"{place}. {_REPAIR}"
            )
    pixels = data.reshape(-1, 3, _SIDE, _SIDE).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(pixels), np.array(labels, np.int64)


def _class_names(path: Path, published: _Published) -> list[str]:
    names = _unpickled(path).get(published.names)
    if (
        not isinstance(names, list)
        or len(names) != published.classes
        or not all(isinstance(name, str) for name in names)
    ):
        raise InputError(
            f"{path}: must name {published.classes} classes in {published.names!r}. {_REPAIR}"
        )
    return names


_REPAIR = "Unpack the published archive anew."


def _unpickled(path: Path) -> dict[str, Any]:
    """Return what a file of Python 2 holds, if that is plain data and arrays."""
    try:
        data = read_regular(path)
    except FileError as error:
        raise InputError(f"{path}: {error}. {_REPAIR}") from error
    try:
        entry = _PlainUnpickler(io.BytesIO(data), encoding="latin1").load()
    except InputError as error:
        raise InputError(f"{path}: {error} {_REPAIR}") from error
    except Exception as error:  # what a damaged pickle raises depends on its bytes
        raise InputError(
            f"{path}: is damaged or no file of CIFAR ({first_line(error)}). {_REPAIR}"
        ) from error
    if not isinstance(entry, dict):
        raise InputError(f"{path}: must hold a dictionary, got {type(entry).__name__}. {_REPAIR}")
    return entry


def _latin1(text: str, encoding: str = "latin1") -> bytes:
    """Return bytes that Python 3 has written as text; the encoding is always this one."""
    return text.encode("latin1")


_RECONSTRUCT = np.zeros(0).__reduce__()[0]  # whatever module of numpy it stands in
_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("_codecs", "encode"): _latin1,
}


class _PlainUnpickler(pickle.Unpickler):
    """Reads plain data and numpy's arrays, and refuses all that could run a program."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what builds an array, or refuse the name."""
        if (module, name) not in _ALLOWED:
            raise InputError(f"holds {module}.{name}, which is no plain data, and is not run.")
        return _ALLOWED[module, name]

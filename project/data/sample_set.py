"""Sample sets: indexed images with targets, all brought to a common frame.

Convention
    index      a sample's place in the full sorted list: stable when samples are skipped or limited
    position   a place among the samples that are served, 0 … len − 1
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

import albumentations as A
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.core.errors import InputError, first_line
from project.core.identity import digest
from project.data.decoding import Pixels, Remark, SampleError
from project.data.eval_transform import Frame

Task = Literal["classification", "segmentation"]
RawTarget = int | Pixels


class Seen(NamedTuple):
    """What verifying saw of a sample, in the frame in which it is served.

    Attributes:
        size: (H, W).
        ids: the class ids of its mask, 255 included; none where the sample has one class.
        remark: what of its photo is read otherwise than it is shown.
    """

    size: tuple[int, int]
    ids: frozenset[int]
    remark: Remark | None


class SampleSet(Dataset[dict[str, Tensor]], ABC):
    """Images and targets of one split; the base class that defines the batch contract.

    Attributes:
        task: kind of the target, one class or one class per pixel.
        class_names: one name per class, in the order of the ids.
        num_classes: number of classes.
        indices: the indices served, ascending; see :meth:`skip`.
        sizes: (H, W) of the images served, by index, as far as they were verified.

    Args:
        names: short name of each sample, sorted: the full list that ``index`` counts.
        frame: the evaluation transform.
        limit: serve only so many samples, evenly spaced over the sorted list, so that a list
            sorted by class keeps its classes; None serves all.
    """

    task: Task
    class_names: tuple[str, ...]

    def __init__(self, names: Sequence[str], frame: Frame, limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise InputError(f"limit must be at least 1 or null, got {limit}.")
        # Millions of names are packed by whoever lists them, and stay so.
        self.names = tuple(names) if isinstance(names, list) else names
        self.frame = frame
        self.limit = limit
        total = len(self.names)
        served = total if limit is None else min(limit, total)
        self.indices: Sequence[int] = range(total)  # of millions a list would fill the memory
        if served < total:
            self.indices = [number * total // served for number in range(served)]
        self._transform = frame.compose()
        self._fingerprint: str | None = None
        self.sizes: dict[int, tuple[int, int]] = {}
        self._verified: dict[int, tuple[int, ...]] = {}

    @abstractmethod
    def read(self, index: int) -> tuple[Pixels, RawTarget]:
        """Decode one sample, untransformed.

        Returns:
            (H, W, 3) uint8, and the class or the (H, W) uint8 mask (255 = void).

        Raises:
            SampleError: if anything about the sample is wrong; the message is the reason.
        """

    @abstractmethod
    def content(self) -> list[Any]:
        """Return as plain data what images and targets depend on (names, sizes, labels)."""

    @abstractmethod
    def where(self, index: int) -> str:
        """Return the sample's name in messages: its file, relative to the data set's root."""

    def foreground(self, index: int) -> Pixels | None:
        """Return the data set's own object mask, (H, W) uint8 of 0 and 1, or None."""
        return None

    def remark(self, index: int) -> Remark | None:
        """Return what of the photo is read otherwise than it is shown; known once it was read."""
        return None

    def state(self, index: int) -> tuple[int, ...]:
        """Return numbers that change when what the sample is read from does."""
        return ()

    def stored_ids(self, index: int) -> frozenset[int]:
        """Return the ids of the sample's mask as they are stored; none where that is not known."""
        return frozenset()

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    def name(self, index: int) -> str:
        """Return the sample's name (its file's stem)."""
        return self.names[index]

    def skip(self, indices: Collection[int]) -> None:
        """Stop serving these samples; all others keep their index."""
        bad = frozenset(indices)
        self.indices = [index for index in self.indices if index not in bad]

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, position: int) -> dict[str, Tensor]:
        """Return ``image`` (3, H, W) float32 in [0, 1], ``target`` and ``index``."""
        return self.sample(self.indices[position], self._transform)

    def image(self, index: int) -> Tensor:
        """Return a sample's image, (3, H, W) float32 in [0, 1], in the evaluation's frame."""
        return self.sample(index, self._transform)["image"]

    def label(self, index: int) -> int | None:
        """Return a sample's class; None where each pixel has one."""
        if self.task == "segmentation":
            return None
        label = self.read(index)[1]
        assert isinstance(label, int)
        return label

    def sample(self, index: int, transform: Any) -> dict[str, Tensor]:
        """Return one sample under an albumentations transform.

        Raises:
            SampleError: naming the file, if it cannot be served.
        """
        try:
            image, target = framed(*self.read(index), transform)
            self._require_verified(index)
        except SampleError as error:
            raise SampleError(
                f"{self.where(index)}: {error}. Repair it and run the same command; nothing that "
                "is stored is lost."
            ) from error
        label = torch.tensor(target, dtype=torch.int64)
        return {"image": to_tensor(image), "target": label, "index": torch.tensor(index)}

    def check(self, index: int, transform: Any) -> Seen:
        """Read one sample as it will be served; from then on it must not change.

        Raises:
            SampleError: if anything about the sample is wrong; the message is the reason.
        """
        state = self.state(index)
        image, target = framed(*self.read(index), transform)
        size = (image.shape[0], image.shape[1])
        self.sizes[index], self._verified[index] = size, state
        ids = frozenset[int]()
        if not isinstance(target, int):
            ids = frozenset(np.flatnonzero(np.bincount(target.ravel())).tolist())
        return Seen(size, ids, self.remark(index))

    def _require_verified(self, index: int) -> None:
        if self._verified.get(index, state := self.state(index)) != state:
            raise SampleError("has changed since it was verified, so results would mix two states")

    def salient_mask(self, index: int) -> Tensor | None:
        """Return the data set's own object mask in the frame of the image.

        Returns:
            (1, H, W) float32 of 0 and 1, or None where the set has none. Void and padding are 0.
        """
        foreground = self.foreground(index)
        if foreground is None:
            return None
        framed = self._transform(image=foreground, mask=foreground)["mask"]
        return torch.from_numpy(framed == 1).float()[None]

    def align(self, saliency: Pixels, index: int) -> Tensor:
        """Apply the image's own transform to a map of the original photo's size.

        Args:
            saliency: (H, W) uint8, as large as the photo on disk.
            index: the sample it belongs to.

        Returns:
            (1, H', W') float32 in [0, 1], in the frame of the image; padding is 0.

        Raises:
            ValueError: if the map is not uint8, or not of the photo's size.
        """
        self._require_photo_size(saliency, index)
        return to_tensor(self._transform(image=saliency)["image"][..., None])

    def align_labels(self, labels: Pixels, index: int) -> Tensor:
        """Apply the mask's transform to a map of class ids of the original photo's size.

        Args:
            labels: (H, W) uint8, as large as the photo on disk; 255 is void.
            index: the sample it belongs to.

        Returns:
            (H', W') int64, classes of the nearest pixel in the frame of the image; padding is 255.

        Raises:
            ValueError: if the map is not uint8, or not of the photo's size.
        """
        self._require_photo_size(labels, index)
        framed = self._transform(image=labels, mask=labels)["mask"]
        return torch.from_numpy(framed.astype(np.int64))

    def _require_photo_size(self, pixels: Pixels, index: int) -> None:
        size = self.read(index)[0].shape[:2]
        if pixels.dtype != np.uint8 or pixels.shape != size:
            raise InputError(
                f"a map for {self.name(index)!r} must be uint8 of the photo's size "
                f"{size[1]}×{size[0]}, got {pixels.dtype} of shape {pixels.shape}. "
                "Make it from the photo as it is on disk."
            )

    def fingerprint(self) -> str:
        """Return a hash of the full list, its targets and the frame (not of limit and skips)."""
        if self._fingerprint is None:
            self._fingerprint = digest(
                [self.task, self.class_names, self.content(), A.to_dict(self._transform)]
            )
        return self._fingerprint


def framed(image: Pixels, target: RawTarget, transform: Any) -> tuple[Pixels, RawTarget]:
    """Bring a photo and its target into a frame.

    Raises:
        SampleError: if the photo does not fit, as one that is smaller than a crop.
    """
    try:
        if isinstance(target, int):
            return transform(image=image)["image"], target
        both = transform(image=image, mask=target)
        return both["image"], both["mask"]
    except Exception as error:  # albumentations and OpenCV raise errors of many kinds
        raise SampleError(
            f"the frame does not fit a photo of {image.shape[1]}×{image.shape[0]} "
            f"({first_line(error)})"
        ) from error


def to_tensor(pixels: Pixels) -> Tensor:
    """Return (H, W, C) uint8 as (C, H, W) float32 in [0, 1], each value k/255."""
    return torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1))).float().div_(255)

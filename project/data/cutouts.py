"""A classification set cut from a segmentation set: windows that one class covers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from project.core.errors import InputError
from project.data.augmentation import Augmentation
from project.data.datamodule import AttackDataModule
from project.data.decoding import Pixels, Remark, SampleError
from project.data.eval_transform import Frame, Native
from project.data.sample_set import SampleSet
from project.data.verify import OnError, Problem, refuse_or_skip


class Window(NamedTuple):
    """A square of one photo: the photo's index, the upper left corner, and the window's class."""

    photo: int
    top: int
    left: int
    label: int


class Cutouts(SampleSet):
    """Windows of photos, for each photo and class the one that it covers most, if it does enough.

    Source: [ours].

    Args:
        samples: a segmentation set; every mask is decoded once, to look for windows.
        classes: names of the classes to cut, in the order of their numbers.
        size: side of the windows in pixels.
        share: the least share of a window's pixels that are of its class, in (0, 1].
        frame: the evaluation transform of a window.
        limit: serve only so many windows, evenly spaced.
        on_error: what to do about photos and masks that cannot be used.

    Attributes:
        notices: what was left out.
    """

    task = "classification"

    def __init__(
        self,
        samples: SampleSet,
        classes: Sequence[str],
        size: int,
        share: float,
        frame: Frame,
        limit: int | None,
        on_error: OnError = "raise",
    ) -> None:
        unknown = [name for name in classes if name not in samples.class_names]
        if unknown or samples.task != "segmentation":
            raise InputError(
                f"cutouts need a segmentation set with the classes {', '.join(classes)}, got "
                f"{samples.task} with {', '.join(samples.class_names)}."
            )
        self.samples = samples
        self.size = size
        self.share = share
        self.class_names = tuple(classes)
        self.windows: list[Window] = []
        problems = []
        for index in samples.indices:
            try:
                self.windows += self._search(index)
            except SampleError as error:
                problems.append(Problem(index, samples.where(index), str(error)))
        self.notices = refuse_or_skip(samples, problems, on_error)
        if not self.windows:
            raise InputError(
                f"no window of {size} pixels has {share:.0%} of one class. Choose a smaller size "
                "or share."
            )
        names = [f"{samples.name(w.photo)}_{self.class_names[w.label]}" for w in self.windows]
        super().__init__(names, frame, limit)

    def read(self, index: int) -> tuple[Pixels, int]:
        """Decode the photo and cut the window out; see :class:`SampleSet`."""
        photo, top, left, label = self.windows[index]
        image, _ = self.samples.read(photo)
        return np.ascontiguousarray(image[top : top + self.size, left : left + self.size]), label

    def content(self) -> list[Any]:
        """Return as plain data what images and classes depend on."""
        return [self.samples.content(), [list(window) for window in self.windows], self.size]

    def remark(self, index: int) -> Remark | None:
        """Return the remark on the photo that the window is cut from."""
        return self.samples.remark(self.windows[index].photo)

    def state(self, index: int) -> tuple[int, ...]:
        """Return the state of the files that the window is cut from."""
        return self.samples.state(self.windows[index].photo)

    def where(self, index: int) -> str:
        """Return the photo and the window's corner, for messages."""
        window = self.windows[index]
        return f"{self.samples.where(window.photo)} at {window.left}, {window.top}"

    def _search(self, index: int) -> list[Window]:
        _, mask = self.samples.read(index)
        assert not isinstance(mask, int)
        if min(mask.shape) < self.size:
            return []
        numbers = [self.samples.class_names.index(name) for name in self.class_names]
        found = []
        for label, number in enumerate(numbers):
            shares = covered(mask == number, self.size)
            top, left = np.unravel_index(shares.argmax(), shares.shape)
            if shares[top, left] >= self.share:
                found.append(Window(index, int(top), int(left), label))
        return found


def covered(mask: NDArray[np.bool_], size: int) -> NDArray[np.float64]:
    """Return the share of a mask in every window of a size, by its upper left corner."""
    sums = cv2.integral(mask.astype(np.uint8))
    inside = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    return inside.astype(np.float64) / size**2


class CutoutData(AttackDataModule):
    """Windows of a segmentation set with a class each: a small classification set of real photos.

    Args:
        data: the data set, for example :class:`CamVidData`; its splits and the photos themselves
            are used, nothing else of it.
        classes: names of the classes to cut.
        size: side of the windows in pixels.
        share: the least share of a window's pixels that are of its class, in (0, 1].
        augment: training augmentation of a window.
        batch_size: samples per batch and process.
        num_workers: loader processes.
        limit: evaluate only so many windows, evenly spaced.
        on_error: what to do about samples that cannot be used.
        verify: decode every sample before anything runs.
        seed: of the training order and of augmentation.
    """

    def __init__(
        self,
        data: AttackDataModule,
        classes: list[str],
        size: int = 64,
        share: float = 0.75,
        *,
        augment: Augmentation | None = None,
        batch_size: int = 8,
        num_workers: int = 0,
        limit: int | None = None,
        on_error: OnError = "raise",
        verify: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__(
            eval_split=data.eval_split,
            augment=augment,
            batch_size=batch_size,
            num_workers=num_workers,
            limit=limit,
            on_error=on_error,
            verify=verify,
            seed=seed,
        )
        if size < 1 or not 0 < share <= 1:
            raise InputError(
                f"size must be at least 1 and share in (0, 1], got {size} and {share}."
            )
        self.data = data
        self.classes = classes
        self.size = size
        self.share = share
        self.train_split = data.train_split
        self.val_split = data.val_split

    def build(self, split: str | None, frame: Frame, limit: int | None) -> Cutouts:
        """Cut the samples of a split of the data set inside."""
        photos = self.data.build(split, Native(), None)
        cut = Cutouts(photos, self.classes, self.size, self.share, frame, limit, self.on_error)
        self.notices += [
            notice for notice in (*self.data.notices, *cut.notices) if notice not in self.notices
        ]
        return cut

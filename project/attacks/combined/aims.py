"""Aims: rules that choose the classes which a targeted attack leads to."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.core.errors import InputError
from project.core.fields import CheckedFields
from project.core.losses import valid_elements
from project.core.samples import KnowsSamples, Samples
from project.storage.png_folder import PngFolder


class Aim(CheckedFields, ABC):
    """Base class of rules that choose the wanted class of every element.

    Void elements may be ignored: whatever class an aim gives them, they stay void.
    """

    @abstractmethod
    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the wanted classes.

        Args:
            logits: (N, K, ...), the victim's logits of the clean images.
            target: (N,) labels or (N, H, W) label maps with 255 = void.
            index: (N,), the samples' stable ids.

        Returns:
            int64, of the target's shape; in maps 255 where nothing is wanted.
        """

    def attach(self, samples: Samples) -> None:
        """Give aims that are stored in files access to samples by index."""


@dataclass(frozen=True)
class FixedClass(Aim):
    """The same class everywhere: an empty road, an image of a given class.

    Elements of that class already are wanted to stay in it, so that the whole image shows it in the
    end [ours]; they count as reached as long as they do.
    """

    number: int
    """Number of the class, at least 0."""

    def __post_init__(self) -> None:
        if self.number < 0:
            raise InputError(f"number must be a class, 0 or more, got {self.number}.")

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the class, in the target's shape."""
        return torch.full_like(target, self.number)


@dataclass(frozen=True)
class NearestWrongClass(Aim):
    """For each element, the class of the largest clean logit among all but the label's.

    Source: [ours], after the best-ranked target class of Croce & Hein, "Reliable Evaluation of
    Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks", ICML 2020.
    """

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the second-best classes, or the best ones where the victim is wrong already."""
        labels = target.where(valid_elements(target), 0).unsqueeze(1)
        return logits.scatter(1, labels, float("-inf")).argmax(1)


@dataclass(frozen=True)
class TargetMaps(Aim, KnowsSamples):
    """Maps of class ids in a folder, one 8-bit PNG for each photo, of its name and size.

    They go through the same geometry (resize, crop) as the photo, by nearest neighbour; 255 wants
    nothing of a pixel. Files with a palette count by their indices, not by their colours.
    """

    root: str
    """Folder with a file ``NAME.png`` for every sample. ``~`` and ``${NAME}`` (an environment
    variable) are expanded."""

    @property
    def _folder(self) -> PngFolder:
        return PngFolder(self.root, "target map")

    def attach(self, samples: Samples) -> None:
        """Remember the data set, for its names and geometry.

        Raises:
            FileNotFoundError: if the folder is not there.
        """
        self._folder.require()
        self.remember(samples)

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the maps, (N, H, W)."""
        if target.ndim == 1:
            raise InputError(
                "TargetMaps wants a class for each pixel and needs a segmenter, got class labels. "
                "Aim a classifier with FixedClass or NearestWrongClass."
            )
        if self.samples is None:
            raise InputError("TargetMaps finds files by sample name: attach a data set first.")
        maps = [self.samples.align_labels(self._read(int(number)), int(number)) for number in index]
        return torch.stack(maps).to(target)

    def fingerprint(self) -> str:
        """Return the state of the folder, so that changed maps are not taken for the old ones."""
        return self._folder.fingerprint()

    def _read(self, index: int) -> NDArray[np.uint8]:
        assert self.samples is not None
        return self._folder.ids(self.samples.name(index), index)

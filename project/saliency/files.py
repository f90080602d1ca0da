"""Providers that read saliency maps from files, or take the data set's own object masks."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.samples import KnowsSamples, Samples, seen_of
from project.saliency.provider import Scene, SceneSaliency
from project.storage.png_folder import PngFolder


@dataclass(frozen=True)
class MaskFiles(SceneSaliency, KnowsSamples):
    """8-bit maps in a folder, one PNG for each photo, under the photo's name and of its size.

    They go through the same geometry (resize, crop) as the photo.
    """

    root: str
    """Folder with a file ``NAME.png`` for every sample. ``~`` and ``${NAME}`` (an environment
    variable) are expanded."""

    @property
    def _folder(self) -> PngFolder:
        return PngFolder(self.root, "saliency map")

    def attach(self, samples: Samples) -> None:
        """Remember the data set, for its names and geometry.

        Raises:
            FileNotFoundError: if the folder is not there.
        """
        self._folder.require()
        self.remember(samples)

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1]."""
        if self.samples is None:
            raise InputError("MaskFiles finds files by sample name: attach a data set first.")
        return torch.stack([self._read(int(index)) for index in scene.index]).to(images)

    def fingerprint(self) -> str:
        """Return the state of the folder, so that changed maps are not taken for the old ones."""
        return self._folder.fingerprint()

    def _read(self, index: int) -> Tensor:
        assert self.samples is not None
        return self.samples.align(self._folder.grey(self.samples.name(index), index), index)


@dataclass(frozen=True)
class DataMasks(SceneSaliency, KnowsSamples):
    """The data set's own object masks as saliency maps."""

    def attach(self, samples: Samples) -> None:
        """Remember the data set."""
        self.remember(samples)

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W), 0 or 1."""
        return torch.stack([self._mask(int(index)) for index in scene.index]).to(images)

    def fingerprint(self) -> str:
        """Return a hash of all masks, since files of the same sizes may hold others."""
        if self.samples is None:
            return ""
        return seen_of(self.samples, range(len(self.samples.names)), ["salient_mask"])

    def _mask(self, index: int) -> Tensor:
        mask = None if self.samples is None else self.samples.salient_mask(index)
        if mask is None:
            raise InputError(
                "DataMasks needs a data set with object masks, and this one has none. "
                "Choose another saliency provider, for example FrequencyTuned."
            )
        return mask

"""Saliency that somebody else has made: files beside the photos, or the data set's own masks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.samples import Samples
from project.saliency.provider import Scene, SceneSaliency
from project.storage.png_folder import PngFolder


class MaskFiles(SceneSaliency):
    """8-bit maps in a folder, one PNG for each photo, under the photo's name and of its size.

    They go through the same geometry (resize, crop) as the photo.

    Args:
        root: the folder, with a file ``NAME.png`` for every sample. ``~`` and ``${NAME}`` (an
            environment variable) are expanded.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._folder = PngFolder(root, "saliency map")
        self._samples: Samples | None = None

    def attach(self, samples: Samples) -> None:
        """Remember the data set, which knows names and geometry.

        Raises:
            FileNotFoundError: if the folder is not there.
        """
        self._folder.require()
        self._samples = samples

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1]."""
        if self._samples is None:
            raise InputError("MaskFiles finds files by sample name: attach a data set first.")
        return torch.stack([self._read(int(index)) for index in scene.index]).to(images)

    def fingerprint(self) -> str:
        """Name the state of the folder, so that changed maps are not taken for the old ones."""
        return self._folder.fingerprint()

    def _read(self, index: int) -> Tensor:
        assert self._samples is not None
        saliency = self._folder.read(self._samples.name(index), index).convert("L")
        return self._samples.align(np.asarray(saliency), index)


class DataMasks(SceneSaliency):
    """The data set's own object masks."""

    def __init__(self) -> None:
        self._samples: Samples | None = None

    def attach(self, samples: Samples) -> None:
        """Remember the data set."""
        self._samples = samples

    def maps(self, images: Tensor, scene: Scene) -> Tensor:
        """Return maps (N, 1, H, W), 0 or 1."""
        return torch.stack([self._mask(int(index)) for index in scene.index]).to(images)

    def _mask(self, index: int) -> Tensor:
        mask = None if self._samples is None else self._samples.salient_mask(index)
        if mask is None:
            raise InputError(
                "DataMasks needs a data set with object masks, and this one has none. "
                "Choose another saliency provider, for example FrequencyTuned."
            )
        return mask

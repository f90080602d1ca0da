"""A wanted map for each photo."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from project.attacks.aims.aim import Aim
from project.core.errors import InputError
from project.core.samples import Samples
from project.storage.png_folder import PngFolder


class TargetMaps(Aim):
    """Maps of class ids in a folder, one 8-bit PNG for each photo, of its name and size.

    They go through the same geometry (resize, crop) as the photo, by nearest neighbour; 255 wants
    nothing of a pixel. Files with a palette count by their indices, not by their colours.

    Args:
        root: the folder, with a file ``NAME.png`` for every sample. ``~`` and ``${NAME}`` (an
            environment variable) are expanded.
    """

    def __init__(self, root: str) -> None:
        self.root = root
        self._folder = PngFolder(root, "target map")
        self._samples: Samples | None = None

    def attach(self, samples: Samples) -> None:
        """Remember the data set, which knows names and geometry.

        Raises:
            FileNotFoundError: if the folder is not there.
        """
        self._folder.require()
        self._samples = samples

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the maps, (N, H, W)."""
        if target.ndim == 1:
            raise InputError(
                "TargetMaps wants a class for each pixel and needs a segmenter, got class labels. "
                "Aim a classifier with FixedClass or NearestWrongClass."
            )
        if self._samples is None:
            raise InputError("TargetMaps finds files by sample name: attach a data set first.")
        maps = [
            self._samples.align_labels(self._read(int(number)), int(number)) for number in index
        ]
        return torch.stack(maps).to(target)

    def fingerprint(self) -> str:
        """Name the state of the folder, so that changed maps are not taken for the old ones."""
        return self._folder.fingerprint()

    def _read(self, index: int) -> NDArray[np.uint8]:
        assert self._samples is not None
        name = self._samples.name(index)
        image = self._folder.read(name, index)
        if image.mode not in ("L", "P"):
            raise InputError(
                f"target map {name}.png must have one 8-bit channel of class ids, got mode "
                f"{image.mode}. Save it as grey levels or with a palette."
            )
        return np.asarray(image)

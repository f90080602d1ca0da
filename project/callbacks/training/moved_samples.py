"""The view of the training set that attacks get under augmentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from project.core.errors import InputError
from project.core.samples import Samples


class MovedSamples(Samples):
    """A data set whose images are mirrored and cropped, so that maps of the photos are refused.

    Args:
        samples: the data set.
    """

    def __init__(self, samples: Samples) -> None:
        self.samples = samples

    @property
    def names(self) -> Sequence[str]:
        """The names of all samples."""
        return self.samples.names

    def image(self, index: int) -> Tensor:
        """Return the sample's image in the evaluation's frame, without augmentation."""
        return self.samples.image(index)

    def label(self, index: int) -> int | None:
        """Return the sample's class, or None where each pixel has one."""
        return self.samples.label(index)

    def name(self, index: int) -> str:
        """Return the sample's name."""
        return self.samples.name(index)

    def salient_mask(self, index: int) -> NoReturn:
        """Refuse: the mask would not fit the augmented image."""
        self._refuse(index)

    def align(self, saliency: NDArray[np.uint8], index: int, /) -> NoReturn:
        """Refuse: the map would not fit the augmented image."""
        self._refuse(index)

    def align_labels(self, labels: NDArray[np.uint8], index: int, /) -> NoReturn:
        """Refuse: the map would not fit the augmented image."""
        self._refuse(index)

    def _refuse(self, index: int) -> NoReturn:
        raise InputError(
            "an attack in training may look up maps of photos only where the photos are not moved, "
            f"got sample {self.name(index)!r} under augmentation. Set data.augment to null, or "
            "choose a saliency provider that works from the image, for example FrequencyTuned."
        )

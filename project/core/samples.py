"""Interface to a data set's names, labels and masks by sample index, without its loading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor


class Samples(Protocol):
    """The part of a data set's interface that attacks and reports need."""

    @property
    def names(self) -> Sequence[str]:
        """The names of all samples, in the order that ``index`` counts."""

    def image(self, index: int) -> Tensor:
        """Return the sample's image, (3, H, W) in [0, 1]; a ``ValueError`` where it has none."""

    def label(self, index: int) -> int | None:
        """Return the sample's class, or None where each pixel has one."""

    def name(self, index: int) -> str:
        """Return the sample's name, for a file its stem."""

    def salient_mask(self, index: int) -> Tensor | None:
        """Return the data set's own object mask, (1, H, W) in [0, 1], or None."""

    def align(self, saliency: NDArray[np.uint8], index: int, /) -> Tensor:
        """Bring a uint8 map of the original photo's size into the image's frame.

        Returns:
            (1, H, W) in [0, 1].
        """

    def align_labels(self, labels: NDArray[np.uint8], index: int, /) -> Tensor:
        """Bring a uint8 map of class ids, of the original photo's size, into the image's frame.

        Returns:
            int64 (H, W), classes of the nearest pixel; padding is 255.
        """


class KnowsSamples:
    """Mixin that remembers the attached data set, which is state and not a setting.

    It suits frozen dataclasses too: neither their fields nor their ``repr`` change.
    """

    @property
    def samples(self) -> Samples | None:
        """The attached data set, or None."""
        known: Samples | None = vars(self).get("_samples")
        return known

    def remember(self, samples: Samples) -> None:
        """Remember a data set."""
        # Written past __setattr__, which frozen dataclasses refuse.
        vars(self)["_samples"] = samples

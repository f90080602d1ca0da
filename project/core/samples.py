"""Interface to a data set's names, labels and masks by sample index, without its loading."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from project.core.errors import InputError


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


def seen_of(
    samples: Samples,
    indices: Iterable[int],
    parts: Sequence[str] = ("image", "label", "salient_mask"),
) -> str:
    """Return a hash of the images, labels and object masks of some samples.

    A sample that cannot be read counts as broken, since the check of the data reports it.

    Args:
        samples: the data set.
        indices: which of its samples.
        parts: the methods of a data set whose answers count.
    """
    sha = hashlib.sha256()
    for index in indices:
        sha.update(f"{index} ".encode())
        for part in parts:
            try:
                value = getattr(samples, part)(index)
            except InputError as error:
                value = None
                sha.update(type(error).__name__.encode())
            if isinstance(value, Tensor):
                sha.update(f"{value.dtype} {tuple(value.shape)} ".encode())
                sha.update(value.contiguous().numpy().tobytes())
            else:
                sha.update(f"{value} ".encode())
    return sha.hexdigest()


class KnowsSamples:
    """Mixin that remembers the attached data set, which is state and not a setting.

    What an image is made from is then the data set too, so its content enters the key of whoever
    has this mixin, by ``fingerprint``. That reads every sample once; who needs few of them says
    which in ``drawn_samples``, or overrides ``fingerprint``.

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

    def drawn_samples(self) -> Sequence[int]:
        """Return the samples beside the attacked one that may decide an image; all by default."""
        return range(len(self.samples.names)) if self.samples else ()

    def fingerprint(self) -> str:
        """Return a hash of what may be drawn from the attached data set, empty without one."""
        return seen_of(self.samples, self.drawn_samples()) if self.samples else ""

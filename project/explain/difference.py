"""Bit-for-bit comparison of two computations of one adversarial image."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from project.storage.store import StoredSample


@dataclass(frozen=True)
class Difference:
    """The differences of two adversarial images and of their facts, flows, masks and traces.

    Attributes:
        pixels: number of pixels that differ.
        of: number of all pixels.
        levels: the largest difference of a channel, in grey levels of 255.
        others: flow, mask, and the facts and traces that differ, by name.
    """

    pixels: int
    of: int
    levels: int
    others: list[str]

    @classmethod
    def between(cls, one: StoredSample, other: StoredSample) -> Difference:
        """Compare two samples whose images have the same size."""
        apart = np.abs(one.image.astype(np.int16) - other.image.astype(np.int16))
        arrays = {"flow": (one.flow, other.flow), "mask": (one.mask, other.mask)}
        return cls(
            pixels=int((apart > 0).any(-1).sum()),
            of=apart.shape[0] * apart.shape[1],
            levels=int(apart.max()),
            others=[name for name, (a, b) in arrays.items() if not _same(a, b)]
            + _differing(one.facts, other.facts)
            + _differing(one.traces, other.traces, "trace of "),
        )

    @property
    def none(self) -> bool:
        """Whether there is no difference."""
        return not self.pixels and not self.others

    def __str__(self) -> str:
        if self.none:
            return "the store's, bit for bit: image, flow, mask, facts and traces"
        told = "the image is the store's, bit for bit"
        if self.pixels:
            told = (
                f"{self.pixels:,} of {self.of:,} pixels are other than the store's, by at most "
                f"{self.levels} of 255 grey levels"
            )
        return told + (f"; not the same either: {', '.join(self.others)}" if self.others else "")


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], prefix: str = "") -> list[str]:
    names = sorted(one.keys() | other.keys())
    return [prefix + name for name in names if not _same(one.get(name), other.get(name))]


def _same(one: NDArray[Any] | float | None, other: NDArray[Any] | float | None) -> bool:
    """Return whether two arrays or numbers are equal; NaN equals NaN."""
    if one is None or other is None:
        return one is other
    return np.array_equal(np.asarray(one, float), np.asarray(other, float), equal_nan=True)

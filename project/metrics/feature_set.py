"""The features of a pass over a data set, gathered over processes."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from project.metrics.states import Column


class Features(NamedTuple):
    """Features of all images, in the order of their index.

    Attributes:
        values: (N, D) float64 on the CPU.
        fooled: (N,) bool, which images fool the source.
    """

    values: Tensor
    fooled: Tensor


class FeatureSet:
    """Keep features image by image, 4·D bytes each, so that any order gives the same distance.

    Args:
        device: of the states.
    """

    def __init__(self, device: torch.device) -> None:
        self._index = Column(torch.int64).to(device)
        self._values = Column(torch.float32).to(device)
        self._fooled = Column(torch.int64).to(device)

    def update(self, index: Tensor, features: Tensor, fooled: Tensor | None = None) -> None:
        """Add a batch: index (N,), features (N, D), fooled (N,) bool or None."""
        self._index.update(index)
        self._values.update(features.flatten())
        self._fooled.update(torch.zeros_like(index) if fooled is None else fooled)

    def compute(self) -> Features:
        """Return the features of all processes: every process must ask."""
        index, values, fooled = (
            column.compute() for column in (self._index, self._values, self._fooled)
        )
        order = index.argsort()
        return Features(values.view(len(index), -1)[order].double(), fooled[order].bool())

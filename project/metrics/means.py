"""Means over images that are the same, bit for bit, for any batch order and process count."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch

from project.metrics.states import Gathered


class Mean(NamedTuple):
    """A mean over images.

    Attributes:
        value: mean over the finite values; NaN if there is none.
        finite: how many values the mean is over.
        infinite: how many values are infinite (the PSNR of an unchanged image) and left out.
    """

    value: float
    finite: int
    infinite: int


class PerImageMean(Gathered):
    """Average one value per image.

    A running sum would depend on the order of batches and on the number of processes and threads.
    So the values are kept (8 bytes an image) and summed once with exact rounding.
    A NaN is not hidden: it makes the mean NaN.
    """

    def __init__(self) -> None:
        super().__init__(torch.float64)

    def compute(self) -> Mean:
        """Return the mean over the finite values of all processes, and both counts."""
        values = self.gathered()
        infinite = values.isinf()
        finite = values[~infinite].tolist()
        mean = math.fsum(finite) / len(finite) if finite else math.nan
        return Mean(mean, len(finite), int(infinite.sum()))

"""Rates with their denominator and a 95 % interval."""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric

from project.statistics.wilson import wilson


class Interval(NamedTuple):
    """A rate with its 95 % interval; all three are NaN when ``total`` is 0 (nothing was judged).

    Attributes:
        value: hits / total, in [0, 1].
        low: lower end of the interval, in [0, value].
        high: upper end of the interval, in [value, 1].
        hits: the numerator.
        total: the denominator.
    """

    value: float
    low: float
    high: float
    hits: int
    total: int


def wilson_interval(hits: int, total: int) -> Interval:
    """Return the rate of two counts with its 95 % interval: see :mod:`project.statistics.wilson`.

    Args:
        hits: count of successes, 0 … total.
        total: count of trials; 0 gives NaN for the value and both ends.

    Raises:
        ValueError: if hits is not in 0 … total.
    """
    if not 0 <= hits <= total:
        raise ValueError(f"hits must lie in 0 … total, got {hits} of {total}.")
    if total == 0:
        return Interval(math.nan, math.nan, math.nan, 0, 0)
    return Interval(hits / total, *wilson(hits / total, total), hits, total)


class Rate(Metric):
    """A rate of hits among the examples that qualify: accuracy, attack success, share of pixels.

    An accuracy counts ``prediction == target`` among all; an attack success rate counts
    ``prediction != target`` among the images that the victim got right on the clean image.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    hits: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        # Integers, so sums are exact: the same at any number of processes.
        self.add_state("hits", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("total", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def update(self, hit: Tensor, among: Tensor | None = None) -> None:
        """Add examples.

        Args:
            hit: bool, any shape; whether each example is a hit.
            among: bool, of the same shape; whether each example belongs to the denominator. A hit
                outside it does not count. By default all belong.

        Raises:
            TypeError: if either is not boolean.
            ValueError: if the shapes differ.
        """
        among = torch.ones_like(hit) if among is None else among
        if hit.dtype != torch.bool or among.dtype != torch.bool:
            raise TypeError(f"hit and among must be boolean, got {hit.dtype} and {among.dtype}.")
        if hit.shape != among.shape:
            raise ValueError(
                f"hit and among must have one shape, got {tuple(hit.shape)} and "
                f"{tuple(among.shape)}."
            )
        self.hits += (hit & among).sum()
        self.total += among.sum()

    def compute(self) -> Interval:
        """Return the rate over all processes, with its interval."""
        return wilson_interval(int(self.hits), int(self.total))


class CountedRate(Rate):
    """A rate from counts, such as those of an image's pixels."""

    def update(self, hits: int, total: int) -> None:  # type: ignore[override]
        """Add ``hits`` out of ``total``."""
        self.hits += hits
        self.total += total

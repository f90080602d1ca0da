"""Metric states: columns of per-image values gathered over processes, and exact means of them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat

_BATCHES = 8  # folded at once: each time they are read from their device


class Gathered(Metric):
    """A column of values, concatenated over batches and processes.

    Args:
        dtype: type of the column. A process that saw no image must send an empty column of this
            very type, or the others cannot receive it.
    """

    full_state_update = False
    higher_is_better = None
    is_differentiable = False

    column: list[Tensor] | Tensor

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.column_dtype = dtype
        self.add_state("column", [], dist_reduce_fx="cat")

    def update(self, values: Tensor) -> None:
        """Add a batch's values, (N,), one per image."""
        if values.ndim != 1:
            raise ValueError(f"values must be (N,), one per image, got {tuple(values.shape)}.")
        assert isinstance(self.column, list)
        self.column.append(values.detach().to(self.device, self.column_dtype))

    def gathered(self) -> Tensor:
        """Return all values so far, (M,) on the CPU; inside ``compute``, over all processes."""
        if isinstance(self.column, list) and not self.column:
            return torch.empty(0, dtype=self.column_dtype)
        return dim_zero_cat(self.column).cpu()

    def sync(
        self,
        dist_sync_fn: Callable[..., Any] | None = None,
        process_group: Any | None = None,
        should_sync: bool = True,
        distributed_available: Callable[[], bool] | None = None,
    ) -> None:
        """Gather over processes as torchmetrics does, also from processes without images."""
        # torchmetrics would make its own empty column, but of the metric's floating-point type.
        if isinstance(self.column, list) and not self.column:
            empty = torch.empty(0, dtype=self.column_dtype, device=self.device)
            self.column = [empty]
        super().sync(dist_sync_fn, process_group, should_sync, distributed_available)


class Column(Gathered):
    """A column of values as they are, those of all processes, rank after rank."""

    def compute(self) -> Tensor:
        """Return the values, (M,) on the CPU."""
        return self.gathered()


class Folded(Gathered):
    """A column that holds less than one number per value: batches are folded into it.

    Each of an experiment's passes has dozens of such states until the end, so that a number per
    image in each would grow without end.
    """

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__(dtype)
        self._recent: list[Tensor] = []

    def update(self, values: Tensor) -> None:
        """Add a batch's values, (N,), one per image."""
        super().update(values)
        assert isinstance(self.column, list)
        self._recent.append(self.column.pop())
        if len(self._recent) == _BATCHES:
            self._fold()

    @abstractmethod
    def add(self, values: Tensor) -> None:
        """Fold values, (N,) on the CPU, into the column."""

    def sync(self, *arguments: Any, **named: Any) -> None:
        """Fold what is left, and gather over processes."""
        self._fold()
        super().sync(*arguments, **named)

    def reset(self) -> None:
        """Forget all values."""
        super().reset()
        self._recent = []

    def _fold(self) -> None:
        if self._recent:
            self.add(torch.cat(self._recent).cpu())
            self._recent = []

    def _hold(self, folded: Tensor) -> None:
        """Make this the column, (M,)."""
        self.column = [folded.to(self.device, self.column_dtype)]


class Mean(NamedTuple):
    """A mean over images.

    Attributes:
        value: mean over the finite values; NaN if there is none.
        finite: number of values in the mean.
        infinite: number of infinite values (the PSNR of an unchanged image), which are left out.
    """

    value: float
    finite: int
    infinite: int


class PerImageMean(Folded):
    """The mean of one value per image, bit for bit the same at any number of processes.

    A running sum would depend on the order of batches and on the number of processes and threads.
    So the sum is held exactly, as the few numbers of :func:`exact_sum`, and rounded once.
    A NaN is not hidden: it makes the mean NaN.
    """

    finite: Tensor
    infinite: Tensor

    def __init__(self) -> None:
        super().__init__(torch.float64)
        self.add_state("finite", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")
        self.add_state("infinite", torch.zeros((), dtype=torch.int64), dist_reduce_fx="sum")

    def add(self, values: Tensor) -> None:
        """Add values, (N,) on the CPU, to the sum and the counts."""
        finite = values[~values.isinf()].tolist()
        # Not in place: states that were reset in inference mode must not be changed outside of it.
        self.finite = self.finite + len(finite)
        self.infinite = self.infinite + len(values) - len(finite)
        summed = exact_sum([*self.gathered().tolist(), *finite])
        self._hold(torch.tensor(summed, dtype=self.column_dtype))

    def compute(self) -> Mean:
        """Return the mean over the finite values of all processes, and both counts."""
        count = int(self.finite)
        mean = math.fsum(self.gathered().tolist()) / count if count else math.nan
        return Mean(mean, count, int(self.infinite))


def exact_sum(values: Sequence[float]) -> list[float]:
    """Return a few numbers whose sum is that of many, without any rounding.

    The rounded sum is the first, what it lacks rounded the second, and so on until nothing is
    lacking; a double has 53 bits, so that two or three mostly suffice. NaN makes it NaN alone.
    """
    found: list[float] = []
    while rest := math.fsum(chain(values, (-one for one in found))):
        if math.isnan(rest):
            return [rest]
        found.append(rest)
    return found

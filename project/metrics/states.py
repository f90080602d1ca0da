"""Metric states: columns of per-image values gathered over processes, and exact means of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities.data import dim_zero_cat


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


class PerImageMean(Gathered):
    """The mean of one value per image, bit for bit the same at any number of processes.

    A running sum would depend on the order of batches and on the number of processes and threads.
    So the values are stored (8 bytes an image) and summed once with exact rounding.
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

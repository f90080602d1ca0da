"""Data-set level numbers of one victim in one pass."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor

from project.evaluation.plan import Pass
from project.metrics import PerImageMean, Rate
from project.storage.rows import Measure

Facts = dict[str, Any]


class VictimMetrics(ABC):
    """Metric states of one victim in one pass, summed over batches and processes.

    Args:
        step: the pass.
        victim: the victim's name.
    """

    def __init__(self, step: Pass, victim: str) -> None:
        self.step = step
        self.victim = victim

    @abstractmethod
    def update(self, rows: list[Facts], predictions: Tensor, target: Tensor) -> None:
        """Add a batch: its rows, and the predicted classes and the target, (N, …) each.

        Where there is no prediction, the class is :data:`project.core.answers.NO_PREDICTION`.
        """

    @abstractmethod
    def measures(self) -> list[Measure]:
        """Return the numbers over all processes; a collective, so every process must call it."""

    @property
    def white_box(self) -> bool:
        """Whether the victim is the one attacked."""
        return self.victim == self.step.source

    def measure(self, metric: str, value: float, **more: Any) -> Measure:
        """Return a number as a measure, with the prefix ``clean_`` on clean images."""
        name = f"clean_{metric}" if self.step.clean else metric
        return Measure(self.step.attack, self.step.source, self.victim, name, value, **more)

    def rate(self, metric: str, rate: Rate) -> Measure:
        """Return a rate as a measure, with its interval and denominator."""
        return self.measure(metric, **rate.compute()._asdict())

    def lost(self, unanswered: Rate) -> list[Measure]:
        """Return the rate of answers that are no predictions, if there is any.

        Without any it would be one more 0 beside every number of every run.
        """
        rate = self.rate("unanswered", unanswered)
        return [rate] if rate.hits else []

    def mean(self, metric: str, mean: PerImageMean) -> Measure:
        """Return a mean over images as a measure, with their number."""
        computed = mean.compute()
        return self.measure(metric, computed.value, total=computed.finite)


def flags(rows: list[Facts], name: str) -> Tensor:
    """Return one column of truth values of rows, bool (N,); None is not true."""
    return torch.tensor([row[name] is True for row in rows], dtype=torch.bool)

"""Families of metrics: their values follow from one measurement, which is made once for all."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

from torch import Tensor

from project.metrics.perceptual_metric import PerceptualMetric, Side

Measured = TypeVar("Measured")


class FamilyMember(PerceptualMetric[Side], Generic[Side, Measured]):
    """A metric whose value follows from a measurement that its relatives share.

    Relatives inherit ``prepare`` and ``measure`` from one class, which gives the same for them all,
    and differ in ``value``.
    """

    def compare(self, side: Side, adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W) int32 with a side; (N,) float64."""
        return self.value(self.measure(side, adversarial))

    @abstractmethod
    def measure(self, side: Side, adversarial: Tensor) -> Measured:
        """Measure grey levels (N, 3, H, W) int32 against a side."""

    @abstractmethod
    def value(self, measured: Measured) -> Tensor:
        """Return the metric's values, (N,) float64."""


class MetricFamily:
    """Metrics of one family, or a metric without relatives.

    Args:
        members: at least one.
    """

    def __init__(self, members: Sequence[PerceptualMetric[Any]]) -> None:
        self.members = members

    def prepare(self, clean: Tensor) -> Any:
        """Compute the side of clean grey levels, (N, 3, H, W) int32, that serves all members."""
        return self.members[0].prepare(clean)

    def compare(self, side: Any, adversarial: Tensor) -> dict[str, Tensor]:
        """Compare grey levels (N, 3, H, W) int32 with a side; (N,) float64 by name."""
        first = self.members[0]
        if not isinstance(first, FamilyMember):
            return {first.name: first.compare(side, adversarial)}
        measured = first.measure(side, adversarial)
        relatives = (member for member in self.members if isinstance(member, FamilyMember))
        return {member.name: member.value(measured) for member in relatives}


def families(metrics: Sequence[PerceptualMetric[Any]]) -> list[MetricFamily]:
    """Return the metrics by family, in the order of each family's first member."""
    found: dict[Hashable, list[PerceptualMetric[Any]]] = {}
    for metric in metrics:
        family = type(metric).measure if isinstance(metric, FamilyMember) else metric
        found.setdefault(family, []).append(metric)
    return [MetricFamily(members) for members in found.values()]

"""Success against visibility: a point per attack, a curve per family of budgets.

A family is the attacks whose names are the same up to ``@``, see
:mod:`project.report.comparison.white_box`; any other attack is a family of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from project.report.columns import DISTANCES
from project.report.comparison.quality import cluster_means
from project.report.comparison.success import successes
from project.report.comparison.white_box import WhiteBox, family
from project.report.numbers import shortened
from project.statistics.bootstrap import Estimate, Floats


@dataclass(frozen=True)
class ParetoPoint:
    """One attack.

    Attributes:
        attack: its name.
        budget: what follows ``@``, empty without one.
        distance: mean over the pairs that it fools, with an interval over images; NaN where it
            fools none.
        success: over all victims, with its interval.
        pairs: how many it fools.
    """

    attack: str
    budget: str
    distance: Estimate
    success: Estimate
    pairs: int


@dataclass(frozen=True)
class ParetoFamily:
    """Attacks that differ in their budget.

    Attributes:
        title: the name up to ``@``, said to be over its budgets if it has any.
        points: by rising budget; in the run's order where a budget is no number.
        distances: of each pair that any of them fools the smallest, sorted.
        total: pairs that could be fooled.
    """

    title: str
    points: list[ParetoPoint]
    distances: Floats
    total: int

    @property
    def shown(self) -> list[ParetoPoint]:
        """Points that have a place: those of attacks that fool anything."""
        return [point for point in self.points if np.isfinite(point.distance.value)]


@dataclass(frozen=True)
class Pareto:
    """All families, in the measure of visibility ``metric``, a column of the rows."""

    metric: str
    families: list[ParetoFamily]


def pareto(data: WhiteBox) -> Pareto | None:
    """Return what the plot shows; None without a measure of visibility, or a fooled image."""
    metric = next((name for name in DISTANCES if name in data.metrics), None)
    if metric is None:
        return None
    groups: dict[tuple[str, bool], list[str]] = {}
    for attack in data.attacks:
        name, budget = family(attack)
        groups.setdefault((name, budget is not None), []).append(attack)
    families = [
        _family(data, metric, shortened(name) + ", best budget" * budgets, by_budget(attacks))
        for (name, budgets), attacks in groups.items()
    ]
    return Pareto(metric, families) if any(found.shown for found in families) else None


def by_budget(attacks: Sequence[str]) -> list[str]:
    """Sort a family's attacks by budget, or leave them in order where one is no number."""
    try:
        return sorted(attacks, key=lambda attack: float(family(attack)[1] or 0))
    except ValueError:
        return list(attacks)


def _family(data: WhiteBox, metric: str, title: str, attacks: Sequence[str]) -> ParetoFamily:
    least = np.full(data.judged[attacks[0]].shape, np.inf)
    points = []
    for attack in attacks:
        values = data.values(attack, [metric])[..., 0]
        points.append(_point(data, attack, values))
        known = data.fooled[attack] & np.isfinite(values)
        least[known] = np.minimum(values[known], least[known])
    return ParetoFamily(
        title=title,
        points=points,
        distances=np.sort(least[np.isfinite(least)]),
        total=int(data.judged[attacks[0]].sum()),
    )


def _point(data: WhiteBox, attack: str, values: Floats) -> ParetoPoint:
    pairs = data.fooled[attack]
    [distance] = cluster_means(values[pairs][:, None], pairs)
    *_, pooled = successes(data, attack)
    return ParetoPoint(attack, family(attack)[1] or "", distance, pooled.rate, int(pairs.sum()))

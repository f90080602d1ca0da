"""Visibility at a rate of transfer, family by family, and every family against a reference."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from project.report.contrast import PairedContrast, ahead_by, corrected
from project.report.frontier.families import Families
from project.statistics.bootstrap import Estimate
from project.statistics.frontier import (
    Frontier,
    estimate,
    frontier,
    mean_gap,
    paired_p,
    ratio,
)

LEVELS = (0.5, 0.8)
"""Rates at which families are compared."""


@dataclass(frozen=True)
class FrontierPoint:
    """One budget of a family, on one target.

    Attributes:
        family: the name up to ``@``.
        attack: the whole name.
        target: who judges.
        rate: name of the rate.
        reached: the rate, with its interval.
        visibility: by metric, likewise.
    """

    family: str
    attack: str
    target: str
    rate: str
    reached: Estimate
    visibility: dict[str, Estimate]


@dataclass(frozen=True)
class FrontierCurve:
    """One family's frontier in one metric, on one target.

    Attributes:
        family: its name.
        target: who judges.
        rate: name of the rate.
        metric: of visibility.
        drawn: sample and resamples.
        best: the highest rate that it reaches.
        levels: the visibility at each of :data:`LEVELS`; infinite where it never reaches it.
    """

    family: str
    target: str
    rate: str
    metric: str
    drawn: Frontier
    best: Estimate
    levels: dict[float, Estimate]


@dataclass(frozen=True, kw_only=True)
class FrontierContrast(PairedContrast):
    """A family against the reference; ``attack`` is the family's name.

    ``p`` is of the paired bootstrap test, corrected by Holm over the families of one target, rate,
    metric and level; ``ahead`` is the less visible family.

    Attributes:
        target: who judges.
        rate: name of the rate.
        metric: of visibility.
        level: at which rate, None over all rates that both reach.
        effect: at a level, the family's visibility over the reference's; else its mean visibility
            minus the reference's, at equal rates.
        top: the highest rate that both reach.
    """

    target: str
    rate: str
    metric: str
    level: float | None
    effect: Estimate
    top: float


@dataclass(frozen=True)
class FrontierResults:
    """All numbers of a run's frontiers.

    Attributes:
        data: what they are of.
        reference: the family that the others are tested against.
        points: family by family, budget by budget.
        curves: by family, target, rate and metric.
        contrasts: every other family's.
    """

    data: Families
    reference: str
    points: list[FrontierPoint]
    curves: list[FrontierCurve]
    contrasts: list[FrontierContrast]


def frontier_results(data: Families, reference: str) -> FrontierResults:
    """Return the frontiers of all families, and their contrasts against one.

    Args:
        data: the families.
        reference: the name of one of them.
    """
    curves = list(_curves(data))
    return FrontierResults(
        data=data,
        reference=reference,
        points=list(_points(data)),
        curves=curves,
        contrasts=list(_contrasts(curves, reference, data.images)),
    )


def _points(data: Families) -> Iterator[FrontierPoint]:
    for name, attacks in data.attacks.items():
        for target in data.targets:
            for attack in attacks:
                found = data.reached[attack, target]
                seen = {metric: _told(found.visibility[metric], data) for metric in data.metrics}
                for rate, draws in found.rates.items():
                    yield FrontierPoint(name, attack, target, rate, _told(draws, data), seen)


def _curves(data: Families) -> Iterator[FrontierCurve]:
    for target in data.targets:
        for rate in data.rates:
            for metric in data.metrics:
                for name, attacks in data.attacks.items():
                    found = [data.reached[attack, target] for attack in attacks]
                    drawn = frontier(
                        np.stack([one.visibility[metric] for one in found], 1),
                        np.stack([one.rates[rate] for one in found], 1),
                    )
                    best = _told(drawn.best, data)
                    levels = {level: _told(drawn.at(level), data) for level in LEVELS}
                    yield FrontierCurve(name, target, rate, metric, drawn, best, levels)


def _contrasts(
    curves: list[FrontierCurve], reference: str, images: int
) -> Iterator[FrontierContrast]:
    def group(curve: FrontierCurve) -> tuple[str, str, str]:
        return curve.target, curve.rate, curve.metric

    for _, members in groupby(curves, group):
        by_name = {curve.family: curve for curve in members}
        ours = by_name.pop(reference)
        for level in (*LEVELS, None):
            found = [_contrast(ours, theirs, level, images) for theirs in by_name.values()]
            yield from corrected(found)


def _contrast(
    ours: FrontierCurve, theirs: FrontierCurve, level: float | None, images: int
) -> FrontierContrast:
    """Compare two families at a level, or by the area between their curves."""
    gap, top = mean_gap(ours.drawn, theirs.drawn)
    if level is None:
        effect, p = estimate(gap), paired_p(gap, np.zeros_like(gap))
        lead = effect.value
    else:
        first, second = ours.drawn.at(level), theirs.drawn.at(level)
        effect, p = estimate(ratio(first, second)), paired_p(first, second)
        lead = np.sign(effect.value - 1)  # NaN where neither reaches it
    alone = images < 2 or math.isnan(effect.value)
    return FrontierContrast(
        attack=theirs.family,
        ahead=ahead_by(float(lead)),
        p=math.nan if alone else p,
        target=ours.target,
        rate=ours.rate,
        metric=ours.metric,
        level=level,
        effect=_alone(effect) if images < 2 else effect,
        top=float(top[0]),
    )


def _told(draws: np.ndarray[tuple[int, ...], np.dtype[np.float64]], data: Families) -> Estimate:
    found = estimate(draws)
    return _alone(found) if data.images < 2 else found


def _alone(found: Estimate) -> Estimate:
    """Leave out the interval, which one image has not."""
    return found._replace(low=math.nan, high=math.nan)

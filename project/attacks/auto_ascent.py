"""One run of Auto-PGD: an ascent that minds its own step size."""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from project.attacks.auto_step import StepSizes
from project.attacks.gradient.landscape import SLOPE, Landscape
from project.attacks.gradient.rules import RuleBook

_INERTIA = 0.25
"""1 − α: how much of the last move is made again."""


@dataclass(frozen=True)
class Point:
    """Where each image of a batch stands, (N, …) each.

    Attributes:
        perturbation: (N, 3, H, W).
        gradient: of the objective there.
        value: of the objective there.
        fooled: the share of valid elements at the aim.
        number: how many steps led there, int64.
        slope: (N,), whether the gradient leads anywhere; see
            :mod:`project.attacks.gradient.landscape`.
    """

    perturbation: Tensor
    gradient: Tensor
    value: Tensor
    fooled: Tensor
    number: Tensor
    slope: Tensor

    def told(self) -> dict[str, Tensor]:
        """Return what traces tell of a step that starts here, (N,) each."""
        return {
            "objective": self.value,
            "fooled": self.fooled,
            SLOPE: self.slope,
        }

    def replaced(self, where: Tensor, other: Point) -> Point:
        """Return the other's images at (N,) bool ``where``, else these."""
        mixed = {}
        for field in fields(self):
            mine, others = getattr(self, field.name), getattr(other, field.name)
            mixed[field.name] = torch.where(where.view(-1, *[1] * (mine.ndim - 1)), others, mine)
        return Point(**mixed)

    def beats(self, other: Point) -> Tensor:
        """Return where this fools more or, fooling as much, has the greater value; (N,) bool."""
        greater = (self.fooled == other.fooled) & (self.value > other.value)
        return (self.fooled > other.fooled) | greater


def ascend(
    landscape: Landscape, rules: RuleBook, start: Tensor, steps: int, rho: float
) -> tuple[Point, list[dict[str, Tensor]]]:
    r"""Climb with momentum, halve the step size where that does not help, go on from the best.

    $$z = \Pi(\delta_k + \eta\, s(g_k)),\quad \delta_{k+1} = \Pi(\delta_k + \alpha (z - \delta_k) +
    (1 - \alpha)(\delta_k - \delta_{k-1}))$$, α = 0.75; an image whose η is halved goes on from the
    place of its greatest value. Every image decides for itself.

    Source: Croce & Hein, ICML 2020, algorithm 1 [code].

    Args:
        landscape: what to climb; its objective must tell ``fooled``.
        rules: applied to each gradient; η starts at their step size.
        start: (N, 3, H, W), an allowed perturbation.
        steps: T; the landscape is looked at T + 1 times.
        rho: see :class:`~project.attacks.auto_step.StepSizes`.

    Returns:
        The best places: those that fool most and, among equals, have the greatest value. And the
        traces of each step, (N,) each: ``objective``, ``fooled`` and the gradient's steepness where
        it started, and ``step_size``.
    """
    point = highest = best = _look(landscape, start, 0)
    sizes = StepSizes(rules.step_size, point.value, steps, rho)
    before, traces = start, []
    for number in range(1, steps + 1):
        traces.append(point.told() | {"step_size": sizes.sizes})
        gradient = rules(point.gradient, point.perturbation, number)
        moved = _moved(landscape, point.perturbation, before, gradient, sizes.sizes)
        before = point.perturbation
        point = _look(landscape, moved, number)
        highest = highest.replaced(point.value > highest.value, point)
        best = best.replaced(point.beats(best), point)
        point = point.replaced(sizes.update(number, point.value, highest.value), highest)
    return best, traces


def _look(landscape: Landscape, perturbation: Tensor, number: int) -> Point:
    slope = landscape.slope(perturbation, number + 1)
    count = torch.full((len(perturbation),), number, device=perturbation.device)
    fooled = slope.traces["fooled"]
    return Point(perturbation, slope.gradient, slope.value, fooled, count, slope.traces[SLOPE])


def _moved(
    landscape: Landscape, here: Tensor, before: Tensor, gradient: Tensor, sizes: Tensor
) -> Tensor:
    """Return the next perturbation; the first step, which comes from nowhere, is made whole."""
    threat_model = landscape.threat_model
    project = threat_model.projection(landscape.images)
    aim = project(here + sizes.view(-1, 1, 1, 1) * threat_model.ascent(gradient))
    if before is here:
        return aim
    move = (1 - _INERTIA) * (aim - here) + _INERTIA * (here - before)
    return project(here + move)

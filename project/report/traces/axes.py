"""Axes of charts over steps, and SVG paths of their curves.

Convention
    positions are in the SVG's own units, x to the right and y downwards
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from project.report.numbers import tick_text
from project.statistics.bootstrap import Floats

Place = tuple[float, float]
WIDTH, HEIGHT = 250, 118
LEFT, RIGHT, TOP, BOTTOM = 52, 246, 8, 98
"""Where curves are; left of them is room for the longest of :func:`tick_text`, as −1.23·10⁻¹²."""
_SHARES = frozenset({"resisting", "transferable"})  # in [0, 1], shown in per cent


@dataclass(frozen=True)
class Curve:
    """A trace over T steps, NaN where no image has a value.

    Attributes:
        name: of the trace.
        low: (T,), the lower quartile over images.
        middle: (T,), the median.
        high: (T,), the upper quartile.
        single: (images, T), those of some images.
    """

    name: str
    low: Floats
    middle: Floats
    high: Floats
    single: Floats

    @property
    def constant(self) -> bool:
        """Whether all images have the same value at all steps."""
        ends = self.low, self.high
        finite = [end[np.isfinite(end)] for end in ends]
        return bool(finite[0].size) and float(finite[0].min()) == float(finite[1].max())


@dataclass(frozen=True)
class Axes:
    """Linear axes, which map steps and values to positions.

    Attributes:
        low: the value at the bottom.
        high: the value at the top.
        step: how wide a step is.
        scale: what values are multiplied with in texts.
    """

    low: float
    high: float
    step: float
    scale: float = 1.0

    def points(self, values: Floats) -> list[Place]:
        """Return the position of each step's value."""
        shares = (values - self.low) / (self.high - self.low)
        return [
            (LEFT + (k + 0.5) * self.step, BOTTOM - float(share) * (BOTTOM - TOP))
            for k, share in enumerate(shares)
        ]

    def x_ticks(self, steps: int) -> list[tuple[float, str]]:
        """Return positions and numbers of the first, the middle and the last step."""
        numbers = sorted({1, (steps + 1) // 2, steps})
        return [(LEFT + (number - 0.5) * self.step, str(number)) for number in numbers]

    def y_ticks(self) -> list[tuple[float, str]]:
        """Return positions and values of both ends and the middle."""
        found = []
        for share in (0.0, 0.5, 1.0):
            value = self.scale * (self.low + share * (self.high - self.low))
            found.append((BOTTOM - share * (BOTTOM - TOP), tick_text(value)))
        return found


def axes_of(curves: Sequence[Curve], steps: int) -> Axes:
    """Return axes that hold all curves: shares from 0 to 100 %, else what the values span."""
    width = (RIGHT - LEFT) / steps
    if all(one.name in _SHARES for one in curves):
        return Axes(0.0, 1.0, width, 100.0)
    values = np.concatenate(
        [np.ravel(v) for one in curves for v in (one.low, one.high, one.single)]
    )
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return Axes(low, high, width) if high > low else Axes(low - 0.5, low + 0.5, width)


def shade(share: Floats, step: float) -> list[tuple[float, float, float]]:
    """Return position, width and share of each run of steps with the same share above 0."""
    found, start = [], 0
    for value, run in groupby(share.tolist()):
        count = len(list(run))
        if value > 0:
            found.append((LEFT + start * step, count * step, value))
        start += count
    return found


def band(lower: list[Place], upper: list[Place]) -> str:
    """Return an SVG path around what lies between two lines, empty where there is nothing."""
    edge = [point for point in [*upper, *lower[::-1]] if np.isfinite(point[1])]
    return f"{path(edge)}Z" if edge else ""


def path(points: Sequence[Place]) -> str:
    """Return an SVG path through points; where one is NaN, the line is broken."""
    parts, pen = [], "M"
    for x, y in points:
        if not np.isfinite(y):
            pen = "M"
            continue
        parts.append(f"{pen}{x:.1f},{y:.1f}")
        pen = "L"
    return "".join(parts)

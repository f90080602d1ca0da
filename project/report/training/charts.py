"""Charts of the logged metrics over the training steps, as positions and SVG paths."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from operator import eq

import numpy as np

from project.report.numbers import tick_text
from project.report.traces.axes import BOTTOM, LEFT, RIGHT, TOP, path
from project.report.training.run import TrainingRun
from project.storage.history import Point

COLLAPSE = "probe/collapse"
"""Above 0 where the probe has seen the robustness collapse."""
_DOTS = 40  # more points than that are a line


@dataclass(frozen=True)
class MetricLine:
    """One metric inside a chart."""

    label: str
    path: str
    dots: list[tuple[float, float]]


@dataclass(frozen=True)
class MetricChart:
    """Some metrics on common axes.

    Attributes:
        title: what they are.
        lines: one per metric.
        marks: where the robustness collapsed.
        x_ticks: place and text.
        y_ticks: likewise.
    """

    title: str
    lines: list[MetricLine]
    marks: list[float]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class _Group:
    """Metrics that belong on one chart, with what their values are multiplied by."""

    title: str
    holds: Callable[[str], bool]
    scale: float = 1.0


_GROUPS = (
    _Group(
        "validation, %",
        lambda name: name.startswith("val/") and name.endswith(("accuracy", "miou")),
        100,
    ),
    _Group("loss", lambda name: name.endswith("loss")),
    _Group("probe, %", lambda name: name.startswith("probe/"), 100),
    _Group("attack strength", lambda name: name.endswith("attack_strength")),
    _Group("learning rate", lambda name: "learning_rate" in name or name.startswith("lr")),
)


def charts(run: TrainingRun) -> tuple[list[MetricChart], list[str]]:
    """Return the charts of all that was logged, and a text for each group that never changes.

    What belongs to no group has a chart of its own.
    """
    left = [name for name in run.metrics if name != COLLAPSE]
    found, constant = [], []
    for group in (*_GROUPS, *(_Group(name, partial(eq, name)) for name in left)):
        names = [name for name in left if group.holds(name)]
        left = [name for name in left if name not in names]
        values = {point.value for name in names for point in run.curve(name)}
        if len(values) > 1:
            found.append(_chart(run, group, names))
        elif names:
            constant.append(f"{group.title} {group.scale * values.pop():.4g}")
    return found, constant


def _chart(run: TrainingRun, group: _Group, names: Sequence[str]) -> MetricChart:
    last = max(point.step for point in run.points)
    curves = {name: run.curve(name) for name in names}
    values = np.array([group.scale * p.value for points in curves.values() for p in points])
    low, high = _span(values, group.scale)

    def line(name: str, points: Sequence[Point]) -> MetricLine:
        places = [
            (_across(p.step, last), BOTTOM - _share(group.scale * p.value, low, high))
            for p in points
        ]
        dots = places if len(places) <= _DOTS else []
        return MetricLine(_label(name), path(places), [(x, y) for x, y in dots if np.isfinite(y)])

    ticks = [(BOTTOM - _share(value, low, high), value) for value in (low, (low + high) / 2, high)]
    return MetricChart(
        title=group.title,
        lines=[line(name, points) for name, points in curves.items()],
        marks=[_across(p.step, last) for p in run.curve(COLLAPSE) if p.value > 0],
        x_ticks=[(_across(step, last), f"{step + 1:,}") for step in sorted({0, last // 2, last})],
        y_ticks=[(y, tick_text(value, digits=3)) for y, value in ticks],
    )


def _span(values: np.ndarray, scale: float) -> tuple[float, float]:
    """Return the ends of the axis: shares from 0 to 100 %, else what the values span."""
    if scale == 100:
        return 0.0, 100.0
    told = values[np.isfinite(values)]
    low, high = (float(told.min()), float(told.max())) if told.size else (0.0, 1.0)
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def _share(value: float, low: float, high: float) -> float:
    return (value - low) / (high - low) * (BOTTOM - TOP)


def _across(step: int, last: int) -> float:
    return LEFT + step / max(1, last) * (RIGHT - LEFT)


def _label(name: str) -> str:
    """Return a metric's name as a legend has it: without its group."""
    return name.split("/", 1)[-1].replace("_", " ")

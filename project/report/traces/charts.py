"""Charts of an attack's traces, as positions and SVG paths for the template."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from project.report.run import Run
from project.report.traces.axes import Curve, axes_of, band, path, shade
from project.statistics.bootstrap import Floats
from project.storage.trace_groups import TraceGroup

_TOGETHER = (("objective",), ("resisting", "transferable"), ("step_size",))
_TITLES = {
    ("objective",): "objective",
    ("resisting", "transferable"): "P_T: pixels still right · P_H: pixels that transfer, %",
    ("step_size",): "step size, in the threat model's units",
}
MOST_SINGLE = 12  # images with a line of their own


@dataclass(frozen=True)
class TraceLine:
    """A trace inside a chart, as SVG paths."""

    band: str
    middle: str
    single: list[str]


@dataclass(frozen=True)
class TraceChart:
    """Traces over the steps on common axes.

    Attributes:
        title: what they are.
        lines: one per trace.
        shade: where images are in stage 2: place, width and share of them.
        x_ticks: place and text.
        y_ticks: likewise.
    """

    title: str
    lines: list[TraceLine]
    shade: list[tuple[float, float, float]]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]


@dataclass(frozen=True)
class SourceTraces:
    """The charts of one source; ``told`` says in words when stage 2 begins and what is constant."""

    source: str
    told: str
    charts: list[TraceChart]


@dataclass(frozen=True)
class AttackTraces:
    """An attack's charts, a row per source."""

    attack: str
    staged: bool
    sources: list[SourceTraces]


def attack_traces(run: Run) -> list[AttackTraces]:
    """Return the charts of all attacks that have traces, in the run's order."""
    shown = set(sorted({sample.index for sample in run.gallery})[:MOST_SINGLE])
    found = []
    for attack in run.attacks:
        staged, charts = False, []
        for source in run.sources(attack):
            if (attack, source) in run.traces:
                traces = run.traces[attack, source]
                staged = staged or "stage" in traces.values
                charts.append(_source(source, traces, shown))
        if charts:
            found.append(AttackTraces(attack, staged, charts))
    return found


def _source(source: str, traces: TraceGroup, shown: set[int]) -> SourceTraces:
    names = traces.values.keys() - {"stage"}
    grouped = {name for group in _TOGETHER for name in group}
    groups = [*_TOGETHER, *((name,) for name in sorted(names - grouped))]
    share = second_stage(traces)
    told, charts = [_stages(share)] if share.any() else [], []
    for group in groups:
        curves = [curve(name, traces, shown) for name in group if name in names]
        if len(curves) == 1 and curves[0].constant:
            value = float(np.nanmax(curves[0].middle))
            told.append(f"{_title(group)}: {value:.4g} throughout")
        elif curves:
            charts.append(_chart(_title(group), curves, share))
    return SourceTraces(source, " · ".join(told), charts)


def _stages(share: Floats) -> str:
    """Say when the images are in stage 2."""
    steps = len(share)
    first = int(np.flatnonzero(share)[0]) + 1
    return (
        f"stage 2: from step {first} of {steps}, {100 * share.mean():.0f} % of all steps, "
        f"{100 * share[-1]:.0f} % of the images at the end"
    )


def _title(group: tuple[str, ...]) -> str:
    return _TITLES.get(group, " · ".join(group))


def _chart(title: str, curves: Sequence[Curve], share: Floats) -> TraceChart:
    axes = axes_of(curves, len(share))
    return TraceChart(
        title=title,
        lines=[
            TraceLine(
                band=band(axes.points(one.low), axes.points(one.high)),
                middle=path(axes.points(one.middle)),
                single=[path(axes.points(values)) for values in one.single],
            )
            for one in curves
        ],
        shade=shade(share, axes.step),
        x_ticks=axes.x_ticks(len(share)),
        y_ticks=axes.y_ticks(),
    )


def curve(name: str, traces: TraceGroup, shown: Collection[int]) -> Curve:
    """Sum up one trace of an attack on a source.

    Args:
        name: of the trace.
        traces: of all images.
        shown: the images to show on their own.
    """
    values = _values(name, traces)
    quartiles = np.full((3, values.shape[1]), np.nan)
    known = np.isfinite(values).any(0)  # numpy warns of a step that no image has a value at
    quartiles[:, known] = np.nanquantile(values[:, known], [0.25, 0.5, 0.75], axis=0)
    chosen = np.isin(traces.index, list(shown))
    low, middle, high = quartiles
    return Curve(name, low, middle, high, values[chosen])


def second_stage(traces: TraceGroup) -> Floats:
    """Return the share of images in stage 2 at each step, (T,); 0 where there are no stages."""
    stages = _values("stage", traces)
    known = np.isfinite(stages)
    second: Floats = np.where(known, stages - 1, 0.0).sum(0)
    share: Floats = second / np.maximum(known.sum(0), 1)
    return share


def _values(name: str, traces: TraceGroup) -> Floats:
    """Return a trace of all images, (images, T), NaN where it has no value."""
    empty = np.full((len(traces.index), traces.steps), np.nan)
    return traces.values.get(name, empty)

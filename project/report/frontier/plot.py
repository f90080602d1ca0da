"""The plot of transfer against visibility: a panel per metric and rate, a curve per family."""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from project.report.comparison.pareto_plot import (
    LEGEND_ROWS,
    draw_legend,
    dress,
    line_styles,
    log_limits,
)
from project.report.figures import CHARACTER, QUIET, STYLE
from project.report.frontier.results import LEVELS, FrontierPoint, FrontierResults
from project.report.frontier.tables import RATES, metric_title, shown_metrics
from project.report.numbers import percent, shortened

_PANEL = (3.1, 2.9)  # inches


def frontier_plot(found: FrontierResults) -> Figure:
    """Draw a row of panels per rate, one per metric, on all victims together.

    A family's line joins its budgets in their order, so one that is behind the frontier shows.
    """
    data, metrics = found.data, shown_metrics(found.data.metrics)
    titles = [shortened(name) for name in data.attacks]
    styles = dict(zip(data.attacks, line_styles(), strict=False))
    columns = math.ceil(len(titles) / LEGEND_ROWS)
    legend = columns * (0.6 + CHARACTER * max(map(len, titles)))
    size = (_PANEL[0] * len(metrics) + legend, _PANEL[1] * len(data.rates))
    with mpl.rc_context(STYLE):
        figure = Figure(size, layout="constrained")
        grid = figure.subplots(len(data.rates), len(metrics), squeeze=False)
        for row, rate in zip(grid, data.rates, strict=True):
            points = _points(found, rate)
            for axes, metric in zip(row, metrics, strict=True):
                _draw(axes, points, metric, styles)
            row[0].set_ylabel(RATES[rate], color=QUIET)
        draw_legend(figure, titles, list(styles.values()), columns)
    return figure


def description(found: FrontierResults) -> str:
    """Return the points in words, for readers who do not see the plot."""
    metric = shown_metrics(found.data.metrics)[0]
    told = [
        f"{one.attack}: {percent(one.reached.value)} at {one.visibility[metric].value:.3g}"
        for rate in found.data.rates[:1]
        for points in _points(found, rate).values()
        for one in points
    ]
    title = metric_title(metric).removesuffix(" ↓")
    return f"Transfer against visibility ({title}). {'. '.join(told)}."


def _points(found: FrontierResults, rate: str) -> dict[str, list[FrontierPoint]]:
    """Return the points of a rate on all victims together, by family and rising budget."""
    chosen = [one for one in found.points if (one.target, one.rate) == (found.data.target, rate)]
    return {name: [one for one in chosen if one.family == name] for name in found.data.attacks}


def _draw(
    axes: Axes,
    points: dict[str, list[FrontierPoint]],
    metric: str,
    styles: dict[str, dict[str, Any]],
) -> None:
    """Draw the points of all families with their intervals, and the levels that are compared."""
    held = [end for one in points.values() for p in one for end in p.visibility[metric]]
    low, high = log_limits(held)
    for level in LEVELS:
        axes.axhline(level, gid="level", color=QUIET, linewidth=0.8, linestyle=(0, (2, 2)))
    for name, members in points.items():
        style = styles[name]
        x = np.maximum([one.visibility[metric].value for one in members], low)
        faint: dict[str, Any] = {"color": style["color"], "alpha": 0.4, "linewidth": 1.0}
        for at, one in zip(x, members, strict=True):
            if not math.isnan(one.reached.low):
                axes.plot([at, at], one.reached[1:], gid="interval", **faint)
                ends = np.maximum(one.visibility[metric][1:], low)
                axes.plot(ends, [one.reached.value] * 2, gid="interval", **faint)
        axes.plot(x, [one.reached.value for one in members], gid="family", **style)
    title = metric_title(metric).replace(" ↓", "")
    dress(axes, (low, high), title, f"mean {title}")

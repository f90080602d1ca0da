"""The plot of success against visibility, for the page and as a file.

Left, a point per attack with its two intervals, and a line through the budgets of one family.
Right, for each family the share of images that it fools within a limit of visibility.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from project.report.columns import column
from project.report.comparison.labels import label_points
from project.report.comparison.pareto import Pareto, ParetoFamily, ParetoPoint
from project.report.figures import CHARACTER, INK, QUIET, RULE, STYLE
from project.report.numbers import shortened, tick_text
from project.statistics.bootstrap import Floats

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
"""Okabe and Ito's, told apart by colour-blind readers; without yellow, which white swallows, and
black, the colour of texts. Markers and labels tell families apart without any colour."""
_MARKERS = ("o", "s", "^", "D", "v")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 2)))
"""A colour that comes again has another dash."""
_TOP = 1.12  # of the axis of shares: points at 100 % and their labels stand clear of the frame
_SEEN = 1 / 1000  # of an axis; smaller steps of a curve are drawn as one
LEGEND_ROWS = 20  # in one column
_TICKS = (
    (1.0,),
    (1.0, 2.0, 5.0),
    range(1, 10),
    [k / 2 for k in range(2, 20)],
    [k / 10 for k in range(10, 100)],
)
"""Multiples of powers of ten; the first set that gives three ticks is taken."""
_MOST_TICKS = 8


def pareto_plot(plot: Pareto) -> Figure:
    """Draw both panels with one legend, in which the highest curve comes first."""
    name = column(plot.metric).title.replace(" ↓", "")
    families = [found for found in plot.families if found.shown]
    styles = list(zip(families, line_styles(), strict=False))
    columns = math.ceil(len(families) / LEGEND_ROWS)
    longest = max(len(found.title) for found in families)
    with mpl.rc_context(STYLE):
        width = 8.6 + columns * (0.6 + CHARACTER * longest)
        figure = Figure((width, 3.9), layout="constrained")
        means, shares = figure.subplots(1, 2)
        _draw_means(means, styles, f"mean {name} of fooled images, 95 % intervals")
        _draw_shares(shares, styles, f"{name} of the image, at most")
        order = sorted(styles, key=lambda one: -_fooled(one[0]))
        draw_legend(figure, [one.title for one, _ in order], [look for _, look in order], columns)
        # The legend takes its room first: labels are placed by where points are on paper.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        label_points(means, *_named(families, means.get_xlim()[0]))
    return figure


def description(plot: Pareto) -> str:
    """Return the points in words, for readers who do not see the plot."""
    told = [_sentence(point) for found in plot.families for point in found.shown]
    return f"Success against visibility. {'. '.join(told)}."


def log_limits(values: Iterable[float]) -> tuple[float, float]:
    """Return the ends of a logarithmic axis around some values; those not above 0 are left out."""
    held = [value for value in values if 0 < value < math.inf] or [1.0]
    low, high = min(held), max(held)
    # Room in proportion to the span, and some where all values are the same.
    room = max(1.15, (high / low) ** 0.06)
    return low / room, high * room


def log_ticks(low: float, high: float) -> list[float]:
    """Return powers of ten between two ends, and what is needed between them for three ticks."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    held: list[float] = []
    for steps in _TICKS:
        values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
        held = [value for value in values if low <= value <= high]
        if len(held) >= 3:
            break
    return held[:: math.ceil(len(held) / _MOST_TICKS) or 1]


def stairs(found: ParetoFamily, low: float, high: float) -> tuple[Floats, Floats]:
    """Return a curve that rises by one image's share at each image's distance, x and y.

    Steps too small to be seen are drawn as one, or thousands of images would be most of the page.

    Args:
        found: the family.
        low: left end of the logarithmic axis. Distances below it count from there on, since 0 has
            no place on the axis.
        high: right end, where the curve ends.
    """
    across = np.clip(found.distances, low, high)
    up = np.arange(1, len(across) + 1) / found.total
    # Places in thousandths of the axes: of all images in one cell the last is kept.
    cells = np.stack([np.log(across / low) / np.log(high / low), up]) // _SEEN
    last = np.append((np.diff(cells) != 0).any(0), True)
    x, y = across[last], up[last]
    return np.concatenate([[low], x, [high]]), np.concatenate([[0.0], y, y[-1:]])


Styled = Sequence[tuple[ParetoFamily, dict[str, Any]]]
"""Families, each with the keywords of its line."""


def _draw_means(axes: Axes, styles: Styled, title: str) -> None:
    """Draw points with their intervals, and lines through the budgets of a family."""
    points = [point for found, _ in styles for point in found.shown]
    low, high = log_limits(end for point in points for end in point.distance)
    for found, style in styles:
        x = np.maximum([point.distance.value for point in found.shown], low)
        y = [point.success.value for point in found.shown]
        faint: dict[str, Any] = {"color": style["color"], "alpha": 0.5, "linewidth": 1.0}
        for at, up, point in zip(x, y, found.shown, strict=True):
            axes.plot([at, at], point.success[1:], gid="interval", **faint)
            if not math.isnan(point.distance.low):
                ends = np.maximum(point.distance[1:], low)
                axes.plot(ends, [up, up], gid="interval", **faint)
        axes.plot(x, y, gid="family", **style)
    dress(axes, (low, high), "Success against visibility", title)


def _draw_shares(axes: Axes, styles: Styled, title: str) -> None:
    """Draw how many images fall within each limit of visibility, a curve per family."""
    low, high = log_limits(value for found, _ in styles for value in found.distances)
    for found, style in styles:
        line = style | {"marker": None}
        axes.plot(*stairs(found, low, high), gid="family", drawstyle="steps-post", **line)
    dress(axes, (low, high), "Images fooled within a limit of visibility", title)


def dress(axes: Axes, ends: tuple[float, float], title: str, x_title: str) -> None:
    """Give a panel its titles, and axes with a logarithm across and shares upwards."""
    axes.set_xscale("log")
    axes.set_xlim(ends)
    axes.set_ylim(0, _TOP)
    ticks = log_ticks(*ends)
    axes.set_xticks(ticks, [tick_text(value) for value in ticks])
    axes.set_xticks([], minor=True)
    axes.set_yticks(np.arange(5) / 4, [f"{share} %" for share in range(0, 101, 25)])
    axes.tick_params(length=0, labelcolor=QUIET, pad=5)
    axes.grid(color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.spines[:].set_color(RULE)
    axes.set_title(title, loc="left", color=INK)
    axes.set_xlabel(x_title, color=QUIET)


def draw_legend(
    figure: Figure, titles: Sequence[str], styles: Sequence[dict[str, Any]], columns: int
) -> None:
    """Draw a legend beside all panels.

    Args:
        figure: whose panels share it.
        titles: as texts, whatever they hold.
        styles: keywords of their lines.
        columns: how many.
    """
    handles = [Line2D([], [], **style) for style in styles]
    # Texts are set afterwards: matplotlib hides entries whose name begins with an underscore.
    legend = figure.legend(
        handles,
        ["name"] * len(handles),
        loc="outside right upper",
        ncols=columns,
        frameon=False,
        labelcolor=INK,
    )
    for text, title in zip(legend.get_texts(), titles, strict=True):
        text.set_parse_math(False)  # a dollar sign in a name is no formula
        text.set_text(title)


def _named(families: Sequence[ParetoFamily], low: float) -> tuple[Floats, list[str]]:
    """Return where points are, (points, 2), and their labels.

    The last of a family bears the full name, the others their budgets. Full names come first, and
    budgets are placed where they leave room.
    """
    named = [
        (
            max(point.distance.value, low),
            point.success.value,
            shortened(point.attack) if point is found.shown[-1] else point.budget,
        )
        for found in families
        for point in found.shown
    ]
    named.sort(key=lambda one: -len(one[2]))
    return np.array([one[:2] for one in named]), [one[2] for one in named]


def _sentence(point: ParetoPoint) -> str:
    return (
        f"{point.attack}: {100 * point.success.value:.1f} % fooled, mean "
        f"{point.distance.value:.3g} over {point.pairs} fooled images"
    )


def _fooled(found: ParetoFamily) -> float:
    return len(found.distances) / found.total


def line_styles() -> Iterator[dict[str, Any]]:
    """Yield styles of lines without end; no two of the first 35 are the same."""
    k = 0
    while True:
        yield {
            "color": COLOURS[k % len(COLOURS)],
            "marker": _MARKERS[k % len(_MARKERS)],
            "linestyle": _DASHES[k // len(COLOURS) % len(_DASHES)],
            "linewidth": 1.5,
            "markersize": 5.5,
            "markeredgewidth": 0.0,
        }
        k += 1

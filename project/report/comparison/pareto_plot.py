"""The plot of success against visibility, as a static SVG: in the page, and as a file."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from project.report.columns import column
from project.report.comparison.pareto import Family, Pareto
from project.report.comparison.plot import Box, Label, LogScale, place_labels, spread

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#7a7a7a")
"""Okabe and Ito's, told apart by colour-blind readers; yellow and black left out for the page's
light and dark backgrounds. Markers and labels tell families apart without any colour."""
WIDTH, HEIGHT = 1080, 430
_LEFT, _RIGHT = Box(58, 44, 500, 366), Box(600, 44, 905, 366)
_ROOM = Box(_LEFT.left, _LEFT.top - 10, _LEFT.right + 52, _LEFT.bottom)
"""Of labels: they may stand out to the right."""
_TOP = 1.04  # of the axis of shares, so that points at 100 % stand clear of the frame
_MARKERS = ("M-4.5,0a4.5,4.5 0 1,0 9,0a4.5,4.5 0 1,0 -9,0z", "M-4,-4h8v8h-8z", "M0,-5.5l5,9h-10z",
            "M0,-5.5l5.5,5.5l-5.5,5.5l-5.5,-5.5z", "M-5,-3.5h10l-5,9z")  # fmt: skip
_DASHES = ("", "7 3", "2 3")  # a colour that comes again has another dash
_SEEN = 0.5  # in the picture's units
_BENT = 3.0  # a label farther than this from its place gets a line to it


@dataclass(frozen=True)
class Mark:
    """One attack's point, with its two intervals as lines."""

    x: float
    y: float
    intervals: list[str]
    title: str


@dataclass(frozen=True)
class Series:
    """One family in one panel.

    Attributes:
        colour: of line and markers.
        marker: an SVG path around the origin.
        dash: of the line, as SVG has it; empty where it is solid.
        line: an SVG path, empty without one.
        marks: its points.
        label: its name at the panel's edge, None where points bear the names.
        leader: an SVG path from the line's end to a label that had to move, or empty.
    """

    colour: str
    marker: str
    dash: str
    line: str
    marks: list[Mark]
    label: Label | None = None
    leader: str = ""


@dataclass(frozen=True)
class Panel:
    """One panel as the template draws it."""

    box: Box
    title: str
    x_title: str
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    series: list[Series]
    labels: list[Label]


def panels(plot: Pareto) -> list[Panel]:
    """Return both panels: means over budgets, and shares of images over visibility."""
    name = column(plot.metric).title.replace(" ↓", "")
    families = [found for found in plot.families if found.shown]
    return [_means(families, name), _shares(families, name)]


def _means(families: Sequence[Family], name: str) -> Panel:
    points = [point for found in families for point in found.shown]
    ends = (end for point in points for end in point.distance if not math.isnan(end))
    x = LogScale.around(ends, _LEFT.left, _LEFT.right)
    series = [
        Series(*style, _path(marks), marks)
        for found, style in zip(families, _styles(), strict=False)
        for marks in [[_mark(found, k, x) for k in range(len(found.shown))]]
    ]
    named = [
        (mark.x, mark.y, point.attack if point is found.shown[-1] else point.budget)
        for found, one in zip(families, series, strict=True)
        for point, mark in zip(found.shown, one.marks, strict=True)
    ]
    named.sort(key=lambda place: -len(place[2]))  # full names first, budgets where room is left
    return Panel(
        box=_LEFT,
        title="Success against visibility",
        x_title=f"mean {name} of fooled images, 95 % intervals",
        x_ticks=x.ticks(),
        y_ticks=_share_ticks(_LEFT),
        series=series,
        labels=place_labels(named, _ROOM, _segments(series)),
    )


def _shares(families: Sequence[Family], name: str) -> Panel:
    # Values of 0 are on no logarithmic scale: they count from its left end on.
    x = LogScale.around((v for f in families for v in f.distances), _RIGHT.left, _RIGHT.right)
    styles = dict(zip((found.title for found in families), _styles(), strict=False))
    ordered = sorted(families, key=lambda found: -len(found.distances) / found.total)
    ends = [_height(len(found.distances) / found.total, _RIGHT) for found in ordered]
    places = spread(ends, _RIGHT.top, _RIGHT.bottom)
    series = []
    for found, end, place in zip(ordered, ends, places, strict=True):
        leader = f"M{_RIGHT.right},{end:.1f}L{_RIGHT.right + 10},{place:.1f}"
        label = Label(_RIGHT.right + 13, place, found.title)
        moved = abs(place - end) > _BENT
        series.append(
            Series(*styles[found.title], _stairs(found, x), [], label, leader if moved else "")
        )
    return Panel(
        box=_RIGHT,
        title="Images fooled within a limit of visibility",
        x_title=f"{name} of the image, at most",
        x_ticks=x.ticks(),
        y_ticks=_share_ticks(_RIGHT),
        series=series,
        labels=[],
    )


def _mark(found: Family, place: int, x: LogScale) -> Mark:
    point = found.shown[place]
    at, up = x(point.distance.value), _height(point.success.value, _LEFT)
    low, high = (_height(share, _LEFT) for share in point.success[1:])
    intervals = [f"M{at:.1f},{low:.1f}V{high:.1f}"]
    if not math.isnan(point.distance.low):
        intervals.append(f"M{x(point.distance.low):.1f},{up:.1f}H{x(point.distance.high):.1f}")
    title = (
        f"{point.attack}: {100 * point.success.value:.1f} % fooled, mean "
        f"{point.distance.value:.3g} over {point.pairs} fooled images"
    )
    return Mark(at, up, intervals, title)


def _path(marks: Sequence[Mark]) -> str:
    return "M" + "L".join(f"{m.x:.1f},{m.y:.1f}" for m in marks) if len(marks) > 1 else ""


def _stairs(found: Family, x: LogScale) -> str:
    """Return a path that rises by one image's share at each image's distance.

    Steps too small to be seen are drawn as one, or thousands of images would be most of the page.
    """
    path, across, up = f"M{x.start},{_height(0, _RIGHT):.1f}", x.start, _height(0, _RIGHT)
    for rank, value in enumerate(found.distances, start=1):
        place, height = x(value), _height(rank / found.total, _RIGHT)
        last = rank == len(found.distances)
        if last or max(place - across, up - height) >= _SEEN:
            path, across, up = path + f"H{place:.1f}V{height:.1f}", place, height
    return path + f"H{x.end}"


def _segments(series: Sequence[Series]) -> Iterator[Box]:
    """Yield small boxes along all lines, so that labels keep clear of them."""
    for one in series:
        for a, b in pairwise(one.marks):
            count = max(1, int(math.hypot(b.x - a.x, b.y - a.y) / 6))
            for k in range(count + 1):
                x, y = a.x + (b.x - a.x) * k / count, a.y + (b.y - a.y) * k / count
                yield Box(x - 2, y - 2, x + 2, y + 2)


def _height(share: float, box: Box) -> float:
    return box.bottom - share / _TOP * (box.bottom - box.top)


def _share_ticks(box: Box) -> list[tuple[float, str]]:
    return [(_height(share / 100, box), f"{share} %") for share in range(0, 101, 25)]


def _styles() -> Iterator[tuple[str, str, str]]:
    """Yield colours, markers and dashes without end; no two of the first 35 are the same."""
    k = 0
    while True:
        yield COLOURS[k % len(COLOURS)], _MARKERS[k % len(_MARKERS)], _DASHES[k // len(COLOURS) % 3]
        k += 1

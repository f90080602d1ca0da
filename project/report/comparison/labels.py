"""Labels beside the points of a plot that keep clear of points, lines and each other."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.text import Annotation, Text
from matplotlib.transforms import Bbox, BboxBase

from project.report.figures import INK, QUIET
from project.statistics.bootstrap import Floats

_OFFSETS = ((6.0, 2.5), (6.0, 10.0), (12.0, 18.0), (12.0, 30.0), (24.0, 30.0), (32.0, 44.0))
_CORNERS = [
    (np.array([right * across, up * away]), np.array([right, up]))
    for across, away in _OFFSETS
    for up, right in product((1, -1), (1, -1))
]
_BESIDE = [(np.array([6.0 * right, 0.0]), np.array([right, 0])) for right in (1, -1)]
_AROUND = [*_CORNERS[:4], *_BESIDE, *_CORNERS[4:]]
"""Where a label may be, the best first: its offset from the point, in points of 1/72 inch, to the
right and upwards, and the side of that place on which it lies. Corners are clear of intervals."""
_LEADER = 8.0  # a label farther up or down than this has a line to its point
_APART = 3.0  # in points: how near anything may come to a label


def label_points(axes: Axes, places: Floats, names: Sequence[str]) -> list[Annotation]:
    """Put a name beside each point, where there is room; one that has none is left out.

    The axes must be where they will stay, since the room is measured on paper.

    Args:
        axes: that the points are in; its lines are kept clear of where there is room.
        places: (points, 2), in the axes' units.
        names: of the points; the first are placed first.

    Returns:
        The labels that are shown.
    """
    pixel = axes.figure.dpi / 72
    points = axes.transData.transform(places)
    taken = [Bbox([at - 4 * pixel, at + 4 * pixel]) for at in points]
    curves = _places_on(axes, pixel, "family")
    anything = np.concatenate([curves, _places_on(axes, pixel, "interval")])
    # Better a label across an interval than none, and better one across a line than none.
    blocks = (anything, curves, np.zeros((0, 2)))
    shown = []
    for place, point, name in zip(places, points, names, strict=True):
        label = _label(axes, place, name)
        # Of the text alone: an annotation's own extent has its leader in it.
        size = np.array(Text.get_window_extent(label).size)
        for blocked, (offset, side) in product(blocks, _AROUND):
            middle = point + pixel * offset + side * size / 2
            box = Bbox([middle - size / 2, middle + size / 2]).padded(_APART * pixel / 2)
            if _free(box, axes.bbox, taken, blocked):
                _move(label, offset, side)
                taken.append(box)
                shown.append(label)
                break
        else:
            label.remove()
    return shown


def _label(axes: Axes, place: Floats, name: str) -> Annotation:
    """Return a label that is anchored to a point, not yet where it will stand."""
    style: Any = {"arrowstyle": "-", "color": QUIET, "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4}
    return axes.annotate(
        name,
        (place[0], place[1]),
        (0, 0),
        textcoords="offset points",
        color=INK,
        fontsize=7.5,
        arrowprops=style,
        parse_math=False,  # a dollar sign in a name is no formula
    )


def _move(label: Annotation, offset: Floats, side: Floats) -> None:
    """Put a label at an offset in points; it lies on the given side of that place."""
    label.set_position(tuple(offset))
    label.set(ha=("center", "left", "right")[side[0]], va=("center", "bottom", "top")[side[1]])
    if label.arrow_patch is not None and abs(offset[1]) < _LEADER:
        label.arrow_patch.set_visible(False)


def _free(box: Bbox, inside: BboxBase, taken: Sequence[Bbox], blocked: Floats) -> bool:
    within = np.all(inside.min <= box.min) and np.all(box.max <= inside.max)
    return bool(within and not box.count_overlaps(taken) and not box.count_contains(blocked))


def _places_on(axes: Axes, pixel: float, gid: str) -> Floats:
    """Return places on paper along all lines of a kind, (places, 2)."""
    lines = [_along(line, 3 * pixel) for line in axes.lines if line.get_gid() == gid]
    return np.concatenate([np.zeros((0, 2)), *lines])


def _along(line: Line2D, step: float) -> Floats:
    """Return places along a line on paper, so near each other that no label fits between them."""
    corners = line.get_transform().transform(line.get_xydata())
    parts = [corners[:1]]
    for start, end in pairwise(corners):
        count = max(1, int(np.hypot(*(end - start)) / step))
        parts.append(start + (end - start) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(parts)

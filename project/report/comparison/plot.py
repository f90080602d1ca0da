"""What a plot is made of: scales with their ticks, and labels that keep clear of each other.

Positions are in the picture's own units, x to the right and y downwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from project.report.numbers import tick_text

Anchor = Literal["start", "middle", "end"]
CHARACTER, LINE = 6.3, 13.0
"""Width and height of a label's characters at the size that the template gives them."""
_STEPS = ((1.0,), (1.0, 2.0, 5.0), range(1, 10), [k / 10 for k in range(10, 100)])


@dataclass(frozen=True)
class Box:
    """A rectangle, edges in the order left, top, right, bottom."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Box) -> bool:
        """Whether two rectangles share any inside."""
        return (
            self.left < other.right
            and other.left < self.right
            and self.top < other.bottom
            and other.top < self.bottom
        )

    def holds(self, other: Box) -> bool:
        """Whether another rectangle lies wholly in this one."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )


@dataclass(frozen=True)
class LogScale:
    """From positive values to places, by their logarithm; what lies outside stays at an end."""

    low: float
    high: float
    start: float
    end: float

    @classmethod
    def around(cls, values: Iterable[float], start: float, end: float) -> LogScale:
        """Return a scale that holds some values and a little room; those not above 0 are left."""
        held = [value for value in values if 0 < value < math.inf] or [1.0]
        low, high = min(held), max(held)
        room = max(1.15, (high / low) ** 0.06)
        return cls(low / room, high * room, start, end)

    def __call__(self, value: float) -> float:
        """Return a value's place."""
        within = min(max(value, self.low), self.high)
        share = math.log(within / self.low) / math.log(self.high / self.low)
        return self.start + share * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and texts: powers of ten, and as much between them as makes three."""
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        held: list[float] = []
        for steps in _STEPS:
            values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
            held = [value for value in values if self.low <= value <= self.high]
            if len(held) >= 3:
                break
        return [(self(value), tick_text(value)) for value in held]


@dataclass(frozen=True)
class Label:
    """A text beside what it names.

    Attributes:
        x: of the anchor.
        y: of the text's middle.
        text: what it says.
        anchor: which part of the text is at x.
        leader: an SVG path to what it names, empty where that is near.
    """

    x: float
    y: float
    text: str
    anchor: Anchor = "start"
    leader: str = ""


def place_labels(
    named: Sequence[tuple[float, float, str]], inside: Box, taken: Iterable[Box] = ()
) -> list[Label]:
    """Put a label beside each point, where there is room; one that has none is left out.

    Args:
        named: x, y and text of each point; the first are placed first.
        inside: where labels may be.
        taken: where they may not, beside the points themselves.
    """
    blocked = [*taken, *(Box(x - 4, y - 4, x + 4, y + 4) for x, y, _ in named)]
    placed = []
    for x, y, text in named:
        for label in _around(x, y, text):
            box = _box(label)
            if inside.holds(box) and not any(box.meets(other) for other in blocked):
                blocked.append(box)
                placed.append(label)
                break
    return placed


def spread(wanted: Sequence[float], top: float, bottom: float) -> list[float]:
    """Return places near those wanted, in the same order, a line apart where there is room.

    Args:
        wanted: from top to bottom.
        top: the highest place.
        bottom: the lowest.
    """
    gap = min(LINE + 1, (bottom - top) / max(1, len(wanted) - 1))
    places: list[float] = []
    for k, y in enumerate(wanted):
        below = len(wanted) - 1 - k
        free = max(top + k * gap, places[-1] + gap if places else top)
        places.append(min(max(y, free), bottom - below * gap))
    return places


def _around(x: float, y: float, text: str) -> Iterable[Label]:
    """Yield where a point's label may be, the best first."""
    yield Label(x + 8, y, text)
    yield Label(x - 8, y, text, "end")
    for away in (13, 26, 39, 52):
        for side in (1, -1):
            beside = y + side * away
            leader = f"M{x:.1f},{y:.1f}V{beside - side * LINE / 2:.1f}" if away > LINE else ""
            yield Label(x, beside, text, "middle", leader)
            yield Label(x - 3, beside, text, "start", leader)
            yield Label(x + 3, beside, text, "end", leader)


def _box(label: Label) -> Box:
    width = CHARACTER * len(label.text)
    left = label.x - {"start": 0.0, "middle": 0.5, "end": 1.0}[label.anchor] * width
    return Box(left, label.y - LINE / 2, left + width, label.y + LINE / 2)

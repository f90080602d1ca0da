"""Numbers as text."""

from __future__ import annotations

import math

from project.records import Measure


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with fixed digits, or with four significant ones where it is small."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞"
    if value != 0 and abs(value) < 10**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Write a share as a percentage with one digit."""
    return "–" if value is None or math.isnan(value) else f"{100 * value:.1f} %"


def interval(measure: Measure) -> str:
    """Write a measure's interval, empty where it has none."""
    if measure.low is None or measure.high is None or math.isnan(measure.low):
        return ""
    return f"{100 * measure.low:.1f}–{100 * measure.high:.1f} %"


def wilson(rate: float, trials: float) -> tuple[float, float]:
    """Return the 95 % Wilson interval of a rate, as :mod:`project.metrics.rates` has it.

    Args:
        rate: in [0, 1].
        trials: how many independent trials it rests on, at least 1.
    """
    z = 1.959963984540054
    middle = (rate + z**2 / (2 * trials)) / (1 + z**2 / trials)
    half = z / (1 + z**2 / trials) * math.sqrt(rate * (1 - rate) / trials + (z / trials) ** 2 / 4)
    return max(0.0, middle - half), min(1.0, middle + half)

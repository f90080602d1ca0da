"""Numbers as text."""

from __future__ import annotations

import math
import re

from project.storage.rows import Measure

_TURNING = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return a text with the characters that turn the order of others written as escapes.

    In a name they would turn what stands beside it, numbers among that.
    """
    return _TURNING.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def shortened(name: str, most: int = 40) -> str:
    """Return a name as a figure has room for it, with its beginning and its end."""
    told = " ".join(visible(name).split())
    return told if len(told) <= most else f"{told[: most - 13]}…{told[-12:]}"


def number(value: float | None, digits: int = 2) -> str:
    """Write a number with fixed digits, or with four significant ones where it is small."""
    if value is None or math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0 and abs(value) < 10**-digits:
        return f"{value:.2g}"
    return f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Write a share as a percentage with one digit."""
    if value is None or math.isnan(value):
        return "–"
    return f"{100 * value:.1f} %" if math.isfinite(value) else number(value)


def tick_text(value: float, digits: int = 2) -> str:
    """Write 0.001 or 2000 as they are, and what is much smaller or larger with a power of ten.

    Args:
        value: what stands at the tick.
        digits: significant ones.
    """
    rounded = float(f"{value:.{digits}g}")
    if rounded == 0 or 1e-4 <= abs(rounded) < 1e6:
        return f"{rounded:.12g}"
    factor, power = f"{rounded:e}".split("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return ("" if float(factor) == 1 else f"{float(factor):g}·") + f"10{raised}"


def interval(measure: Measure) -> str:
    """Write a measure's interval, empty where it has none."""
    if measure.low is None or measure.high is None or math.isnan(measure.low):
        return ""
    return f"{100 * measure.low:.1f}–{100 * measure.high:.1f} %"

"""Numbers as text."""

from __future__ import annotations

import math

from project.storage.rows import Measure


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

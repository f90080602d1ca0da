"""A curve on one line of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

_BARS = "▁▂▃▄▅▆▇█"


def sparkline(values: Sequence[float], width: int = 40) -> str:
    """Return a curve as bars from its least to its largest value; a blank is no number.

    Args:
        values: one per step.
        width: the most characters; of a longer curve each shows the last step of its share.
    """
    curve = np.asarray(values, float)
    if len(curve) > width:
        curve = curve[np.arange(1, width + 1) * len(curve) // width - 1]
    finite = np.isfinite(curve)
    if not finite.any():
        return " " * len(curve)
    low, high = curve[finite].min(), curve[finite].max()
    with np.errstate(invalid="ignore"):
        share = (curve - low) / (high - low if high > low else 1)
    return "".join(
        _BARS[min(int(one * len(_BARS)), len(_BARS) - 1)] if known else " "
        for one, known in zip(share, finite, strict=True)
    )

"""Intervals for means and ratios of means over image × victim pairs that share their images."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]
RESAMPLES = 2000
SEED = 0
_ALPHA = 0.025  # on either side
_AT_ONCE = 4_000_000  # drawn counts that are held in memory


class Estimate(NamedTuple):
    """A number with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


def cluster_ratios(numerators: Floats, denominators: Floats) -> list[Estimate]:
    r"""Return $$\sum_i a_i / \sum_i b_i$$ with a bootstrap interval over clusters i.

    An image that several victims judge is one cluster, drawn as a whole: its pairs rise and fall
    together, so they are no independent trials. With a the sum of a cluster's values and b their
    number, the ratio is the mean over pairs; with b the sum of other values, it is the ratio of
    two attacks' means.

    The interval is bias-corrected and accelerated (BCa), which follows skewed values such as LPIPS
    and never leaves their range. Every draw is seeded, and all columns share the resamples.

    Source: B. Efron, "Better bootstrap confidence intervals", Journal of the American Statistical
    Association 82, 1987; the acceleration from the jackknife over clusters.

    Args:
        numerators: (clusters, K), a column for each number wanted.
        denominators: likewise, at least 0; a cluster of a column may be empty (0 over 0).

    Returns:
        K estimates; without an interval where fewer than two clusters count.
    """
    drawn = _resampled(numerators, denominators)
    totals = numerators.sum(0), denominators.sum(0)
    found = []
    for k, (above, below) in enumerate(zip(*totals, strict=True)):
        if below == 0:
            found.append(Estimate(np.nan, np.nan, np.nan))
            continue
        counted = (numerators[:, k] != 0) | (denominators[:, k] != 0)
        left = _leave_one_out(numerators[counted, k], denominators[counted, k])
        low, high = _bca(above / below, drawn[:, k], left) if len(left) > 1 else (np.nan, np.nan)
        found.append(Estimate(float(above / below), float(low), float(high)))
    return found


def _resampled(numerators: Floats, denominators: Floats) -> Floats:
    """Return the ratios of all resamples, (resamples, K), NaN where a denominator is 0."""
    generator, count = np.random.default_rng(SEED), len(numerators)
    both = np.hstack([numerators, denominators])
    sums = []
    for start in range(0, RESAMPLES, at_once := max(1, _AT_ONCE // max(1, count))):
        size = min(at_once, RESAMPLES - start)
        chosen = generator.integers(0, max(1, count), (size, count))
        places = chosen + count * np.arange(size)[:, None]
        times = np.bincount(places.ravel(), minlength=size * count).reshape(size, count)
        sums.append(times.astype(np.float64) @ both)
    return _divided(*np.hsplit(np.concatenate(sums), 2))


def _leave_one_out(above: Floats, below: Floats) -> Floats:
    return _divided(above.sum() - above, below.sum() - below)


def _divided(above: Floats, below: Floats) -> Floats:
    result: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return result


def _bca(value: float, drawn: Floats, left: Floats) -> tuple[Any, Any]:
    """Return both ends of the BCa interval.

    Args:
        value: of the sample.
        drawn: of the resamples.
        left: of the sample without each cluster in turn.
    """
    drawn, left = drawn[np.isfinite(drawn)], left[np.isfinite(left)]
    if not len(drawn) or not len(left):
        return np.nan, np.nan
    # Rounding must not tell resamples apart that are the sample in another order.
    same = np.isclose(drawn, value, rtol=1e-12, atol=0)
    share = ((drawn < value) & ~same).mean() + same.mean() / 2
    bias = norm.ppf(np.clip(share, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    spread = left.mean() - left
    scale = (spread**2).sum() ** 1.5
    acceleration = (spread**3).sum() / (6 * scale) if scale > 0 else 0.0
    z = bias + norm.ppf([_ALPHA, 1 - _ALPHA])
    levels = norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.quantile(drawn, levels)
    return low, high

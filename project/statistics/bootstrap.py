"""Bootstrap intervals over images: whatever follows from sums over images gets a 95 % interval."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

Floats = NDArray[np.float64]
Times = NDArray[np.uint8]
"""How often each resample holds each image, (resamples, N)."""
RESAMPLES = 2000
SEED = 0
_ALPHA = 0.025  # on either side
_AT_ONCE = 4_000_000  # drawn counts that are held in memory


class Estimate(NamedTuple):
    """A number with its 95 % interval; NaN where there is none."""

    value: float
    low: float
    high: float


def bootstrap(columns: Floats, statistic: Callable[[Floats], Floats]) -> list[Estimate]:
    """Return numbers that follow from sums over images, each with its BCa interval over images.

    Images are drawn with replacement, and the statistic is computed anew from each draw's sums.
    Sums of counts below 2^53 are exact, so the result is the same, bit for bit, on any machine.

    Args:
        columns: (N, C), a row per image.
        statistic: from sums (M, C) to numbers (M, S), row by row; NaN where a draw has none.

    Returns:
        S estimates; without an interval where fewer than two images are given.
    """
    total = columns.sum(0)
    values = statistic(total[None])[0]
    if len(columns) < 2:
        return [Estimate(float(value), np.nan, np.nan) for value in values]
    drawn, left = statistic(resampled_sums(columns)), statistic(total - columns)
    return [
        Estimate(float(value), *bca(value, drawn[:, k], left[:, k]))
        for k, value in enumerate(values)
    ]


def resampled_sums(columns: Floats, times: Iterable[Times] | None = None) -> Floats:
    """Return the sums over all resamples, (RESAMPLES, C), of columns (N, C).

    The draws depend on N alone, so columns of the same images may be summed in parts.

    Args:
        columns: a row per image.
        times: what :func:`drawn_times` yields for N, where it was kept for several sums.
    """
    drawn = drawn_times(len(columns)) if times is None else times
    return np.concatenate([some.astype(np.float64) @ columns for some in drawn])


def drawn_times(count: int) -> Iterator[Times]:
    """Yield how often each resample holds each image, some resamples at a time, (…, N).

    Args:
        count: N.
    """
    generator = np.random.default_rng(SEED)
    for start in range(0, RESAMPLES, at_once := max(1, _AT_ONCE // max(1, count))):
        size = min(at_once, RESAMPLES - start)
        chosen = generator.integers(0, max(1, count), (size, count))
        places = chosen + count * np.arange(size)[:, None]
        times = np.bincount(places.ravel(), minlength=size * count).reshape(size, count)
        # Of 256 images or more none is drawn so often: the chance is below 1e-500.
        yield times.astype(np.uint8)


def bca(value: float, drawn: Floats, left: Floats) -> tuple[float, float]:
    """Return both ends of the bias-corrected and accelerated interval.

    It follows skewed values and never leaves their range.

    Source: B. Efron, "Better bootstrap confidence intervals", Journal of the American Statistical
    Association 82, 1987; the acceleration from the jackknife [paper].

    Args:
        value: of the sample.
        drawn: of the resamples.
        left: of the sample without each image (or cluster) in turn.
    """
    drawn, left = drawn[np.isfinite(drawn)], left[np.isfinite(left)]
    if not len(drawn) or not len(left):
        return np.nan, np.nan
    # Rounding must not tell resamples apart that are the sample in another order.
    same = np.isclose(drawn, value, rtol=1e-12, atol=0)
    share = ((drawn < value) & ~same).mean() + same.mean() / 2
    # The share of resamples below the value, as a quantile: 0 where it is their median.
    bias = norm.ppf(np.clip(share, 0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    # Skewness of the jackknife values: how the standard error changes with the value.
    spread = left.mean() - left
    scale = (spread**2).sum() ** 1.5
    acceleration = (spread**3).sum() / (6 * scale) if scale > 0 else 0.0
    z = bias + norm.ppf([_ALPHA, 1 - _ALPHA])
    levels = norm.cdf(bias + z / (1 - acceleration * z))
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def cluster_ratios(numerators: Floats, denominators: Floats) -> list[Estimate]:
    r"""Return $$\sum_i a_i / \sum_i b_i$$ with a bootstrap interval over clusters i.

    An image that several victims judge is one cluster, drawn as a whole: its pairs rise and fall
    together, so they are no independent trials. With a the sum of a cluster's values and b their
    number, the ratio is the mean over pairs; with b the sum of other values, it is the ratio of
    two attacks' means. Every draw is seeded, and all columns share the resamples.

    Args:
        numerators: (clusters, K), a column for each number wanted.
        denominators: likewise, at least 0; a cluster of a column may be empty (0 over 0).

    Returns:
        K estimates; without an interval where fewer than two clusters count.
    """
    drawn = _divided(*np.hsplit(resampled_sums(np.hstack([numerators, denominators])), 2))
    totals = numerators.sum(0), denominators.sum(0)
    found = []
    for k, (above, below) in enumerate(zip(*totals, strict=True)):
        if below == 0:
            found.append(Estimate(np.nan, np.nan, np.nan))
            continue
        # Leaving out a cluster that is empty in this column would leave the same sample.
        counted = (numerators[:, k] != 0) | (denominators[:, k] != 0)
        left = _leave_one_out(numerators[counted, k], denominators[counted, k])
        low, high = bca(above / below, drawn[:, k], left) if len(left) > 1 else (np.nan, np.nan)
        found.append(Estimate(float(above / below), low, high))
    return found


def _leave_one_out(above: Floats, below: Floats) -> Floats:
    return _divided(above.sum() - above, below.sum() - below)


def _divided(above: Floats, below: Floats) -> Floats:
    result: Floats = np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0)
    return result

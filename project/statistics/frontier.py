"""The frontier of a family of attacks: how visible it must be to reach a rate.

Convention
    draws        axis 0 of every array: the sample itself, then its bootstrap resamples
    visibility   (draws, budgets), 0 for the unchanged image; larger is easier to see
    rate         (draws, budgets), what is reached, 0 for the unchanged image; such as the share of
                 images that fool a network
    families     of the same resamples, draw by draw, so that they compare image by image
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from project.statistics.bootstrap import Estimate, Floats, Times, resampled_sums

_TAILS = (0.025, 0.975)


def drawn_sums(columns: Floats, times: Sequence[Times] | None = None) -> Floats:
    """Return sums over images, (1 + resamples, C): of all of them, then of each resample.

    The draws depend on the number of images alone, so the columns of several attacks on the same
    images may be summed one attack after the other and are still paired.

    Args:
        columns: (N, C), a row per image.
        times: see :func:`resampled_sums`.
    """
    return np.concatenate([columns.sum(0, keepdims=True), resampled_sums(columns, times)])


@dataclass(frozen=True)
class Frontier:
    """The least visibility at which a family reaches each rate, linear between its budgets.

    Attributes:
        visibility: (draws, points), ascending from 0.
        rate: (draws, points), likewise.
    """

    visibility: Floats
    rate: Floats

    @property
    def best(self) -> Floats:
        """The highest rate that is reached, (draws,)."""
        best: Floats = self.rate[:, -1]
        return best

    def at(self, level: float) -> Floats:
        """Return the visibility at a rate, (draws,); infinite where no budget reaches it.

        Args:
            level: above 0.
        """
        reached = self.rate >= level
        after = np.maximum(reached.argmax(1), 1)
        x0, x1 = (_taken(self.visibility, place) for place in (after - 1, after))
        y0, y1 = (_taken(self.rate, place) for place in (after - 1, after))
        share = np.divide(level - y0, y1 - y0, out=np.zeros_like(y0), where=y1 > y0)
        return np.where(reached.any(1), x0 + share * (x1 - x0), np.inf)

    def area(self, top: Floats) -> Floats:
        """Return the integral of the visibility over the rates from 0 to ``top``, (draws,).

        Args:
            top: (draws,), no higher than :attr:`best`.
        """
        x0, x1 = self.visibility[:, :-1], self.visibility[:, 1:]
        y0, y1 = self.rate[:, :-1], self.rate[:, 1:]
        height = np.minimum(y1, top[:, None]) - y0  # of each segment, as far as it counts
        rise = y1 - y0
        share = np.divide(height, rise, out=np.zeros_like(rise), where=rise > 0).clip(min=0)
        area: Floats = (height.clip(min=0) * (x0 + share * (x1 - x0) / 2)).sum(1)
        return area


def frontier(visibility: Floats, rate: Floats) -> Frontier:
    """Return the frontier of a family's budgets, in any order.

    It starts where nothing changes: visibility 0, rate 0. A budget that is more visible than
    another and reaches less is behind the frontier. The frontier ends with its highest rate: what
    no budget reaches is not extrapolated.

    Args:
        visibility: (draws, budgets); NaN, of a budget without images, is left out of its draw.
        rate: likewise.
    """
    known = np.isfinite(visibility) & np.isfinite(rate)
    start = np.zeros((len(rate), 1))
    x, y = (np.concatenate([start, np.where(known, of, 0.0)], 1) for of in (visibility, rate))
    order = np.lexsort((y, x))  # by visibility; of equals, the weaker first
    x, y = (np.take_along_axis(of, order, 1) for of in (x, y))
    return Frontier(x, np.maximum.accumulate(y.clip(min=0), 1))


def _taken(values: Floats, place: NDArray[np.int64]) -> Floats:
    """Return the value at each draw's place, (draws,)."""
    return values[np.arange(len(values)), place]


def mean_gap(ours: Frontier, theirs: Frontier) -> tuple[Floats, Floats]:
    """Return how much less visible ours are at equal rates, and up to which rate that holds.

    The area between both curves, over the rates that both reach, divided by the highest of those:
    a mean of visibilities, theirs minus ours.

    Returns:
        The mean, (draws,), above 0 where ours are less visible and NaN where nothing is reached;
        and the highest rate that both reach, (draws,).
    """
    top = np.minimum(ours.best, theirs.best)
    gap = theirs.area(top) - ours.area(top)
    return np.divide(gap, top, out=np.full_like(gap, np.nan), where=top > 0), top


def ratio(ours: Floats, theirs: Floats) -> Floats:
    """Return theirs over ours, (draws,) of visibilities at a rate.

    Infinite where theirs alone never reach it, 0 where ours alone do not, NaN where neither does.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        divided: Floats = np.divide(theirs, ours)
    return divided


def estimate(draws: Floats) -> Estimate:
    """Return a number with its 95 % interval between quantiles of its resamples.

    Infinite draws count as what lies above all others, so that the upper end of an interval is
    infinite where more than a fortieth of the resamples never reach a rate.

    Source: Efron, Tibshirani, "An introduction to the bootstrap", 1993, chapter 13 [paper]. No BCa
    here: its acceleration has no meaning with infinite values.

    Args:
        draws: (draws,); NaN counts in no interval.
    """
    value, resampled = float(draws[0]), draws[1:][~np.isnan(draws[1:])]
    if np.isnan(value) or not len(resampled):
        return Estimate(value, np.nan, np.nan)
    low, high = np.quantile(resampled, _TAILS, method="inverted_cdf")
    return Estimate(value, float(low), float(high))


def paired_p(ours: Floats, theirs: Floats) -> float:
    r"""Return the two-sided p-value that two numbers of the same resamples are equal.

    Twice the smaller share of the resamples in which either is not below the other,
    $$2 \min(1 + \#\{d \le 0\}, 1 + \#\{d \ge 0\}) / (1 + B)$$: the level at which the interval of
    their difference d ends at 0. Two infinite numbers are equal; a NaN is no resample.

    Source: Efron, Tibshirani, 1993, sections 13.3 and 15.4 [paper]; the 1 as in Phipson, Smyth,
    "Permutation p-values should never be zero", 2010.

    Args:
        ours: (draws,).
        theirs: likewise.

    Returns:
        NaN without any resample.
    """
    first, second = ours[1:], theirs[1:]
    counted = ~(np.isnan(first) | np.isnan(second))
    first, second = first[counted], second[counted]
    if not len(first):
        return float("nan")
    tails = (1 + (first <= second).sum(), 1 + (first >= second).sum())
    return float(min(1.0, 2 * min(tails) / (1 + len(first))))

"""Paired tests between two attacks on the same images, and their correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon

from project.statistics.bootstrap import Floats
from project.statistics.miou import Counts, mean_iou


def signed_rank(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test that the median difference is 0.

    Differences of exactly 0 have no sign and are left out. Exact up to 50 differences without ties,
    else by the normal approximation.

    Source: F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.

    Args:
        differences: (images,), one per image, since images are what was drawn independently.

    Returns:
        NaN without any difference, 1 where all of them are 0.
    """
    if not len(differences):
        return float("nan")
    nonzero = differences[differences != 0]
    if not len(nonzero):
        return 1.0
    ties = len(np.unique(np.abs(nonzero))) < len(nonzero)
    exact = len(nonzero) <= 50 and not ties
    return float(wilcoxon(nonzero, method="exact" if exact else "approx").pvalue)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test that two attacks fool equally often.

    Only discordant images count, which one attack alone fools: of these each fools half if they are
    equally strong.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12, 1947, with the exact binomial distribution.

    Args:
        only_first: images that the first attack alone fools.
        only_second: images that the second alone fools.
    """
    discordant = only_first + only_second
    return float(binomtest(only_first, discordant, 0.5).pvalue) if discordant else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    r"""Return p-values corrected for their number: the chance of a single false finding stays 5 %.

    The k-th smallest of m becomes $$\max_{j \le k} \min(1, (m - j + 1)\, p_{(j)})$$.

    Source: S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian
    Journal of Statistics 6, 1979.

    Args:
        p_values: in any order; NaN is no test, and counts as none.
    """
    corrected = [float("nan")] * len(p_values)
    tested = sorted(
        (k for k, p in enumerate(p_values) if not math.isnan(p)), key=lambda k: p_values[k]
    )
    largest = 0.0
    for rank, k in enumerate(tested):
        # A larger p is never corrected to a smaller one: the order is kept.
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[k]))
        corrected[k] = largest
    return corrected


PERMUTATIONS = 9999
SEED = 0
_AT_ONCE = 512


def permutation_test(ours: Counts, theirs: Counts, averaged: Sequence[int]) -> Floats:
    r"""Return two-sided p-values of equal mIoU, for each pair and for the mean over some pairs.

    Were the attacks equal, each image's two results could as well be swapped. So the images are
    swapped, every image or not by a coin, an image's pairs all together since they rise and fall
    together, and the difference in mIoU is computed anew from the swapped counts:
    $$p = (1 + \#\{|d^*| \ge |d|\}) / (1 + B)$$, over all $$2^N$$ swaps where those are at most B,
    then $$p = \#\{|d^*| \ge |d|\} / 2^N$$.

    Source: E. J. G. Pitman, "Significance tests which may be applied to samples from any
    populations", 1937; the 1 that counts what was seen as a draw: B. Phipson and G. K. Smyth,
    "Permutation p-values should never be zero", 2010; on mIoU, no mean over images: [ours].

    Args:
        ours: counts (images, pairs, 3, K) of one attack.
        theirs: likewise of the other, of the same images and labels.
        averaged: places of the pairs that the mean is over; none is no mean.

    Returns:
        (pairs + 1,), the last of the mean, or (pairs,); NaN where a pair has no mIoU.
    """
    # Swapping an image adds (theirs − ours) to our sum and takes it from theirs.
    totals, changes = (ours.sum(0), theirs.sum(0)), (theirs - ours).astype(np.float64)
    seen = differences(totals[0][None], totals[1][None], averaged)[0]
    drawn, extreme = 0, np.zeros(len(seen))
    for swaps in _swaps(len(ours)):
        moved = np.tensordot(swaps, changes, 1)
        found = differences(totals[0] + moved, totals[1] - moved, averaged)
        # Rounding must not make what is as extreme as seen look less so.
        extreme += (np.abs(found) >= np.abs(seen) - 1e-12).sum(0)
        drawn += len(swaps)
    p = extreme / drawn if _exact(len(ours)) else (1 + extreme) / (1 + drawn)
    return np.where(np.isnan(seen), np.nan, p)


def differences(ours: Counts, theirs: Counts, averaged: Sequence[int]) -> Floats:
    """Return the mIoU of theirs minus that of ours, pair by pair and then in the mean over some.

    Args:
        ours: summed counts (draws, pairs, 3, K).
        theirs: likewise.
        averaged: places of the pairs that the mean is over; none is no mean.

    Returns:
        (draws, pairs + 1), or (draws, pairs).
    """
    by_pair: Floats = mean_iou(theirs) - mean_iou(ours)
    if not averaged:
        return by_pair
    return np.concatenate([by_pair, by_pair[:, averaged].mean(-1, keepdims=True)], -1)


def _swaps(images: int) -> Iterator[Floats]:
    """Yield which images are swapped, (draws, images) of 0 and 1: every way, or some drawn."""
    if _exact(images):
        # Bit k of the draw's number says whether image k is swapped.
        every = np.arange(2**images)[:, None] >> np.arange(images) & 1
        yield from np.array_split(every.astype(np.float64), 1 + len(every) // _AT_ONCE)
        return
    generator = np.random.default_rng(SEED)
    for start in range(0, PERMUTATIONS, _AT_ONCE):
        size = min(_AT_ONCE, PERMUTATIONS - start)
        yield generator.integers(0, 2, (size, images)).astype(np.float64)


def _exact(images: int) -> bool:
    return bool(2**images <= PERMUTATIONS)

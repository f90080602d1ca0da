"""Paired tests between two attacks on the same images, and their correction for many tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, wilcoxon


def signed_rank(differences: NDArray[np.float64]) -> float:
    """Return the two-sided p-value of Wilcoxon's signed-rank test: is the middle difference 0?

    Differences of exactly 0 say nothing and are left out. Exact up to 50 differences without ties,
    else by the normal approximation.

    Source: F. Wilcoxon, "Individual comparisons by ranking methods", Biometrics Bulletin 1, 1945.

    Args:
        differences: (images,), one per image, since images are what was drawn independently.

    Returns:
        NaN without any difference, 1 where all of them are 0.
    """
    if not len(differences):
        return float("nan")
    told = differences[differences != 0]
    if not len(told):
        return 1.0
    ties = len(np.unique(np.abs(told))) < len(told)
    exact = len(told) <= 50 and not ties
    return float(wilcoxon(told, method="exact" if exact else "approx").pvalue)


def mcnemar(only_first: int, only_second: int) -> float:
    """Return the two-sided p-value of McNemar's exact test: do two attacks fool equally often?

    Images that both fool, or neither does, say nothing; of the others each attack fools half if
    they are equally strong.

    Source: Q. McNemar, "Note on the sampling error of the difference between correlated
    proportions or percentages", Psychometrika 12, 1947, with the exact binomial distribution.

    Args:
        only_first: images that the first attack alone fools.
        only_second: images that the second alone fools.
    """
    told = only_first + only_second
    return float(binomtest(only_first, told, 0.5).pvalue) if told else 1.0


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
        largest = max(largest, min(1.0, (len(tested) - rank) * p_values[k]))
        corrected[k] = largest
    return corrected

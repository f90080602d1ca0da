"""Intervals for means and ratios of means over image × victim pairs that share their images."""

from __future__ import annotations

import numpy as np

from project.resampling import Estimate, Floats, bca, resampled_sums


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

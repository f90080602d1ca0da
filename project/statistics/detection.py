"""Sensitivity and agreement in closed form."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import norm

from project.statistics.bootstrap import Floats


def forced_choice(hits: ArrayLike, trials: ArrayLike) -> Floats:
    r"""Return the sensitivity of two-alternative forced choice.

    $$d' = \sqrt2\,z(p_c)$$, z the normal quantile and p_c the share of right choices; 0 is chance.
    A share of 0 or 1 is taken as 1/2n or 1 − 1/2n, or d' would be infinite.

    Source: Macmillan & Creelman, "Detection Theory", 2nd ed. 2005, eq. (7.2); the correction from
    Macmillan & Kaplan, "Detection theory analysis of group data", Psychological Bulletin 98, 1985.

    Args:
        hits: count of right choices, any shape.
        trials: count of choices, likewise; 0 gives NaN.
    """
    return math.sqrt(2) * _quantile(hits, trials)


def yes_no(
    hits: ArrayLike, modified: ArrayLike, false_alarms: ArrayLike, clean: ArrayLike
) -> Floats:
    r"""Return the sensitivity of same-or-different answers, given hidden clean controls.

    $$d' = z(H) - z(F)$$, H the share of modified images that are called so, and F that of clean
    ones; corrected as in :func:`forced_choice`. Each image lies beside its reference, and what is
    compared is taken for one feature, as in a yes-no task [ours].

    Source: Macmillan & Creelman, eq. (1.5).

    Args:
        hits: count of modified images called modified.
        modified: count of modified images; 0 gives NaN.
        false_alarms: count of clean images called modified.
        clean: count of clean images; 0 gives NaN.
    """
    return _quantile(hits, modified) - _quantile(false_alarms, clean)


def fleiss_kappa(counts: Floats) -> float:
    r"""Return the agreement of raters beyond chance, 1 for perfect and 0 for none.

    $$\kappa = (\bar P - P_e)/(1 - P_e)$$, P_i = Σ_j n_ij (n_ij − 1) / n_i (n_i − 1) the share of
    pairs of raters that agree on item i, and P_e = Σ_j p_j² the same of independent raters with
    the shares p_j of all answers. Items may have different numbers of raters [ours]; with equal
    ones it is Fleiss' own. Items with fewer than two are left out.

    Source: J. L. Fleiss, "Measuring nominal scale agreement among many raters", Psychological
    Bulletin 76, 1971.

    Args:
        counts: (items, categories), how many raters chose each.

    Returns:
        NaN where no item has two raters, or all answers are one category.
    """
    raters = counts.sum(1)
    counts, raters = counts[raters > 1], raters[raters > 1]
    if not len(counts):
        return float("nan")
    agreed = ((counts * (counts - 1)).sum(1) / (raters * (raters - 1))).mean()
    expected = ((counts.sum(0) / counts.sum()) ** 2).sum()
    return float((agreed - expected) / (1 - expected)) if expected < 1 else float("nan")


def _quantile(hits: ArrayLike, trials: ArrayLike) -> Floats:
    hits, trials = np.broadcast_arrays(np.asarray(hits, float), np.asarray(trials, float))
    counted = np.where(trials > 0, trials, np.nan)
    edge = 0.5 / counted  # a share of 0 or 1 has no finite quantile
    result: Floats = norm.ppf(np.clip(hits / counted, edge, 1 - edge))
    return result

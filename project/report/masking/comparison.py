"""Two attacks on the same images, one of which must be the stronger if gradients can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from scipy.stats import binom

from project.report.masking.outcome import Count, Outcome

ALPHA = 0.05
"""The chance that chance alone flags anything in a run, after Holm's correction."""
MARGIN = 0.01
"""The least lead that is flagged: trifles can be certain, and still be no sign [ours]."""
LEAST_GAIN = {"images": 0.02, "pixels": 0.5}
"""Of the images that withstand a budget, the share on which twice the budget must get further: of
classifiers 1 in 50 falls, of segmenters every other image loses a pixel more [ours]."""
_SATURATED = 0.99


@dataclass(frozen=True)
class Comparison:
    """What should be weaker against what should be stronger.

    Attributes:
        weaker: the outcome that must not be ahead.
        stronger: the outcome that must not be behind.
        p: the chance of what was seen if nothing is wrong.
        suspicious: whether what was seen would be a sign, were it certain.
        telling: how small p must be, before correction, to leave a suspicion open.
        corrected: p by Holm, over all comparisons of the run.
    """

    weaker: Outcome
    stronger: Outcome
    p: float
    suspicious: bool
    telling: float = ALPHA
    corrected: float = math.nan

    @property
    def flagged(self) -> bool:
        """Whether the suspicion is larger than chance explains."""
        return self.suspicious and self.corrected < ALPHA

    @property
    def undecided(self) -> bool:
        """Whether there is a suspicion that too few images neither confirm nor clear."""
        return self.suspicious and not self.flagged and self.p <= self.telling

    @property
    def lead(self) -> float:
        """How much more of what is right the weaker one fools, a share in [-1, 1]."""
        return self.weaker.share - self.stronger.share


def not_ahead(weaker: Outcome, stronger: Outcome) -> Comparison:
    """Compare two attacks by the exact sign test over images, one-sided.

    Of the images on which they differ, the weaker one fools more on at most half. Of classifiers,
    where an image is fooled or not, this is McNemar's exact test.

    Source: see :func:`project.statistics.paired_tests.mcnemar`.
    """
    pairs = list(_pairs(weaker, stronger))
    more = sum(ours.fooled > theirs.fooled for ours, theirs in pairs)
    fewer = sum(ours.fooled < theirs.fooled for ours, theirs in pairs)
    p = float(binom.sf(more - 1, more + fewer, 0.5))
    return Comparison(weaker, stronger, p, weaker.share - stronger.share >= MARGIN)


def gains(smaller: Outcome, larger: Outcome) -> Comparison:
    """Compare a budget with one at least twice as large: does it get any further?

    Of the images that the smaller one leaves something of, :data:`LEAST_GAIN` must lose more to the
    larger one; p is the binomial chance that as few do as did.
    """
    pairs = [(ours, theirs) for ours, theirs in _pairs(smaller, larger) if ours.fooled < ours.right]
    gained = sum(theirs.fooled > ours.fooled for ours, theirs in pairs)
    p = float(binom.cdf(gained, len(pairs), LEAST_GAIN[smaller.unit]))
    further = larger.share > smaller.share or smaller.share >= _SATURATED
    # Not to see any gain is open however likely it is.
    return Comparison(smaller, larger, p, suspicious=not further, telling=1.0)


def _pairs(ours: Outcome, theirs: Outcome) -> Iterator[tuple[Count, Count]]:
    for index in sorted(ours.counts.keys() & theirs.counts.keys()):
        yield ours.counts[index], theirs.counts[index]

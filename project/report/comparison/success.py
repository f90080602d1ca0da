"""Success rates on each victim and on all of them together, and tests against a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from project.report.comparison.white_box import WhiteBox
from project.report.contrast import PairedContrast, ahead_by, corrected
from project.statistics.bootstrap import Estimate
from project.statistics.paired_tests import mcnemar
from project.statistics.wilson import wilson

POOLED = "all"
"""Stands where a victim's name would, for all of them together."""


@dataclass(frozen=True)
class Success:
    """An attack's success rate over the images that a victim gets right, with a Wilson interval."""

    attack: str
    victim: str
    hits: int
    total: int
    rate: Estimate


@dataclass(frozen=True, kw_only=True)
class SuccessContrast(PairedContrast):
    """An attack against the reference in success on one victim, by McNemar's exact test.

    Attributes:
        victim: who judges.
        only_reference: images that the reference alone fools.
        only_other: images that the other attack alone fools.
    """

    victim: str
    only_reference: int
    only_other: int


def successes(data: WhiteBox, attack: str) -> list[Success]:
    """Return an attack's success on each victim, and on all of them together.

    Victims judge much the same images, so the pooled interval is that of one victim with their
    mean number of images, which errs on the wide side.
    """
    counts = []
    judged, fooled = (found[attack].sum(0).tolist() for found in (data.judged, data.fooled))
    for victim in data.victims:
        place = data.by_name.index(victim)
        counts.append((victim, fooled[place], judged[place], float(judged[place])))
    hits, total = sum(count[1] for count in counts), sum(count[2] for count in counts)
    counts.append((POOLED, hits, total, total / len(data.victims)))
    return [Success(attack, victim, n, of, _rate(n, of, by)) for victim, n, of, by in counts]


def _rate(hits: int, total: int, trials: float) -> Estimate:
    if not total:
        return Estimate(math.nan, math.nan, math.nan)
    return Estimate(hits / total, *wilson(hits / total, trials))


def success_contrasts(
    data: WhiteBox, reference: str, others: Sequence[str]
) -> list[SuccessContrast]:
    """Test on each victim whether attacks fool as often as the reference."""
    found = []
    for attack in others:
        # Only where both were judged: what has no prediction is neither fooled nor not.
        both = data.judged[reference] & data.judged[attack]
        ours, theirs = (data.fooled[name] & both for name in (reference, attack))
        alone = [(one & ~other).sum(0).tolist() for one, other in ((ours, theirs), (theirs, ours))]
        for victim in data.victims:
            place = data.by_name.index(victim)
            only_ours, only_theirs = (counts[place] for counts in alone)
            found.append(
                SuccessContrast(
                    attack=attack,
                    victim=victim,
                    only_reference=only_ours,
                    only_other=only_theirs,
                    ahead=ahead_by(only_ours - only_theirs),
                    p=mcnemar(only_ours, only_theirs),
                )
            )
    return corrected(found)

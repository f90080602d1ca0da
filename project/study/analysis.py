"""A study's results: shares judged unmodified, agreement of raters, correlation with metrics."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import NamedTuple

import numpy as np
from scipy.stats import spearmanr

from project.core.errors import InputError
from project.statistics.detection import fleiss_kappa
from project.storage.rows import LEADING_FLOATS
from project.study.answers import Judgement, judged, spread
from project.study.per_attack import AttackJudgements, Facts, shares
from project.study.screening import MINIMUM, Screened, screened
from project.study.settings import Settings
from project.study.stimulus_kind import Panel


class Correlation(NamedTuple):
    """Spearman's rank correlation of a metric with the share judged modified, over pictures."""

    metric: str
    rho: float
    pictures: int


@dataclass(frozen=True)
class Findings:
    """All numbers of a study.

    Attributes:
        settings: of the study.
        raters: with their checks.
        minimum: the share of checks that was asked for.
        shares: attacks in the study's order, then the controls.
        kappa: Fleiss' kappa of modified or not, over pictures.
        correlations: of metrics with what people saw.
        missed: pages of accepted raters on which time ran out.
        seconds: median of those answered.
        judgements: fewest and most of a picture.
    """

    settings: Settings
    raters: list[Screened]
    minimum: float
    shares: list[AttackJudgements]
    kappa: float
    correlations: list[Correlation]
    missed: int
    seconds: float
    judgements: tuple[int, int]


def analysed(
    settings: Settings, found: Sequence[Judgement], facts: Facts, minimum: float = MINIMUM
) -> Findings:
    """Return what a study found so far.

    Args:
        settings: of the study.
        found: all judgements.
        facts: what the run measured, by attack and image.
        minimum: share of attention checks that a rater must get right to count.

    Raises:
        InputError: if no judgement counts.
    """
    raters = screened(found, settings.checks > 0, minimum)
    accepted = {one.rater for one in raters if one.accepted}
    kept = [one for one in found if one.rater in accepted]
    counted = judged(kept)
    if not counted:
        raise InputError(
            "a study needs answers of raters who pass the checks, got none of "
            f"{len(raters)} raters. Wait for more, or look at --minimum."
        )
    pages = {(one.rater, one.place): one.seconds for one in kept if one.modified is not None}
    return Findings(
        settings=settings,
        raters=raters,
        minimum=minimum,
        shares=shares(settings, counted, facts),
        kappa=_kappa(counted),
        correlations=_correlations(counted, facts),
        missed=len({(one.rater, one.place) for one in kept} - pages.keys()),
        seconds=median(pages.values()),
        judgements=spread(kept),
    )


def _pictures(counted: Sequence[Judgement]) -> dict[tuple[int, Panel], Counter[bool]]:
    found: dict[tuple[int, Panel], Counter[bool]] = {}
    for one in counted:
        found.setdefault((one.image, one.target), Counter())[bool(one.modified)] += 1
    return found


def _kappa(counted: Sequence[Judgement]) -> float:
    counts = [[times[False], times[True]] for times in _pictures(counted).values()]
    return fleiss_kappa(np.array(counts, float))


def _correlations(counted: Sequence[Judgement], facts: Facts) -> list[Correlation]:
    """Return the correlations that three pictures or more allow, in the order of the rows."""
    pictures = {
        (target.attack, image): times[True] / times.total()
        for (image, target), times in _pictures(counted).items()
        if target.kind == "attack"
    }
    found = []
    for metric in LEADING_FLOATS:
        pairs = [
            (share, facts[key][metric])
            for key, share in pictures.items()
            if key in facts and facts[key].get(metric) is not None
        ]
        seen, values = zip(*pairs, strict=True) if pairs else ((), ())
        if len(pairs) >= 3 and len(set(seen)) > 1 and len(set(values)) > 1:
            rho = float(spearmanr(seen, values).statistic)
            if not math.isnan(rho):
                found.append(Correlation(metric, rho, len(pairs)))
    return found

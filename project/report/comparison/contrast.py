"""Who is less visible, image by image: paired tests of attacks against a reference."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from project.report.columns import column
from project.report.comparison.quality import by_image, columns_of, published_quality
from project.report.comparison.white_box import WhiteBox
from project.statistics.bootstrap import Estimate, Floats, cluster_ratios
from project.statistics.paired_tests import holm, signed_rank

Winner = Literal["reference", "other", "neither"]
_LEVEL = 0.05


@dataclass(frozen=True)
class QualityContrast:
    """An attack against the reference in one metric, over the pairs that both fool.

    Attributes:
        attack: the other attack.
        metric: a column of the rows.
        pairs: of image and victim.
        images: how many the pairs are of; the units of the test.
        effect: of a metric that is better when lower, the other's mean over the reference's; of
            the others, the other's mean minus the reference's.
        p: of Wilcoxon's signed-rank test on each image's difference, the mean over its victims.
        corrected: p by Holm over all contrasts.
        winner: who is better, where corrected is below 5 % and mean and median agree.
        published: the paper's effect, where both methods are in it.
    """

    attack: str
    metric: str
    pairs: int
    images: int
    effect: Estimate
    p: float
    corrected: float
    winner: Winner
    published: float | None


def quality_contrasts(
    data: WhiteBox, reference: str, others: Sequence[str], metrics: Sequence[str]
) -> list[QualityContrast]:
    """Test attacks against the reference, each over the pairs that it and the reference fool.

    Taking the pairs that *all* attacks fool would let one weak attack leave nothing to test.

    Args:
        data: the rows.
        reference: the attack that the others are tested against.
        others: which to test.
        metrics: in which columns; one that an attack's rows lack is left out for it.
    """
    found = [
        contrast
        for attack in others
        for contrast in _contrasts(data, reference, attack, metrics)
        if contrast.pairs
    ]
    corrected = holm([contrast.p for contrast in found])
    return [
        replace(one, corrected=p, winner=one.winner if p < _LEVEL else "neither")
        for one, p in zip(found, corrected, strict=True)
    ]


def _contrasts(
    data: WhiteBox, reference: str, attack: str, metrics: Sequence[str]
) -> list[QualityContrast]:
    """Return the contrasts of one attack, not corrected yet."""
    pairs = data.matched([reference, attack])
    ours = columns_of(data, [(reference, metric) for metric in metrics], pairs)
    theirs = columns_of(data, [(attack, metric) for metric in metrics], pairs)
    finite = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = (by_image(np.where(finite, x, 0.0), pairs) for x in (ours, theirs))
    count = by_image(finite.astype(np.float64), pairs)
    lower = np.array([column(metric).better == "lower" for metric in metrics])
    effects = cluster_ratios(np.where(lower, theirs, theirs - ours), np.where(lower, ours, count))
    found = []
    for k, (metric, effect) in enumerate(zip(metrics, effects, strict=True)):
        judged = count[:, k] > 0
        differences = (theirs - ours)[judged, k] / count[judged, k]
        found.append(
            QualityContrast(
                attack=attack,
                metric=metric,
                pairs=int(count[:, k].sum()),
                images=len(differences),
                effect=effect,
                p=signed_rank(differences),
                corrected=math.nan,
                winner=_winner(differences, bool(lower[k])),
                published=_published_effect(data, reference, attack, metric),
            )
        )
    return found


def _winner(differences: Floats, lower: bool) -> Winner:
    """Return who is better by differences other − reference, if mean and median agree."""
    if not len(differences):
        return "neither"
    mean, median = float(differences.mean()), float(np.median(differences))
    if mean * median <= 0:
        return "neither"
    return "reference" if (mean > 0) == lower else "other"


def _published_effect(data: WhiteBox, reference: str, attack: str, metric: str) -> float | None:
    ours = published_quality(data, reference, metric)
    theirs = published_quality(data, attack, metric)
    if ours is None or theirs is None or data.methods[reference] == data.methods[attack]:
        return None
    return theirs / ours if column(metric).better == "lower" else theirs - ours

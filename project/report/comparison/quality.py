"""How visible attacks are on images that they fool: means, and paired tests against a reference.

Means are at matched success: over the pairs of image and victim that every attack fools. A test is
over the pairs that the attack and the reference fool, image by image.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from project.report.columns import column
from project.report.comparison.published import PUBLISHED
from project.report.comparison.white_box import Chosen, WhiteBox
from project.report.contrast import PairedContrast, Winner, ahead_by, corrected
from project.statistics.bootstrap import Estimate, Floats, cluster_ratios
from project.statistics.paired_tests import signed_rank


@dataclass(frozen=True)
class QualityMean:
    """One metric's mean over the matched pairs.

    Attributes:
        attack: its name.
        metric: a column of the rows.
        mean: with a bootstrap interval over images.
        pairs: how many the mean is of.
        infinite: how many more are infinite (PSNR of an unchanged image).
        published: what SSTA's paper reports for the method.
    """

    attack: str
    metric: str
    mean: Estimate
    pairs: int
    infinite: int
    published: float | None


def qualities(
    data: WhiteBox, attacks: Sequence[str], metrics: Sequence[str], matched: Chosen
) -> list[QualityMean]:
    """Return every metric's mean of every attack over the matched pairs."""
    keys = [(attack, metric) for attack in attacks for metric in metrics]
    sums, counts, endless = [], [], list[int]()
    for attack in attacks if metrics else ():
        values = data.values(attack, metrics)[matched]
        endless += np.isinf(values).sum(0).tolist()
        above, below = _finite_sums(values, matched)
        sums.append(above)
        counts.append(below)
    if not sums:
        return []
    number = [int(count) for below in counts for count in below.sum(0)]
    means = cluster_ratios(np.hstack(sums), np.hstack(counts))
    return [
        QualityMean(
            attack=attack,
            metric=metric,
            mean=mean,
            pairs=number[k],
            infinite=endless[k],
            published=published_quality(data, attack, metric),
        )
        for k, ((attack, metric), mean) in enumerate(zip(keys, means, strict=True))
    ]


def cluster_means(values: Floats, pairs: Chosen) -> list[Estimate]:
    """Return the mean of each column over its finite values, with an interval over images.

    Args:
        values: (pairs, K), in the order of the pairs.
        pairs: what the values belong to.
    """
    return cluster_ratios(*_finite_sums(values, pairs))


def _finite_sums(values: Floats, pairs: Chosen) -> tuple[Floats, Floats]:
    """Return the sums of the finite values of each image, and their number, (images, K) each."""
    finite = np.isfinite(values)
    return (
        by_image(np.where(finite, values, 0.0), pairs),
        by_image(finite.astype(np.float64), pairs),
    )


def by_image(values: Floats, pairs: Chosen) -> Floats:
    """Sum values over the victims of each image, (pairs, K) to (images, K).

    Args:
        values: in the order of the pairs.
        pairs: what the values belong to; an image without any is left out.
    """
    place = np.cumsum(pairs.any(1)) - 1
    image, victim = pairs.nonzero()
    sums = np.zeros((int(place[-1]) + 1 if len(place) else 0, values.shape[1]))
    for own in range(pairs.shape[1]):
        sums[place[image[victim == own]]] += values[victim == own]
    return sums


def published_quality(data: WhiteBox, attack: str, metric: str) -> float | None:
    """Return what SSTA's paper reports of an attack's method, None where it is not in it."""
    paper = PUBLISHED.get(data.methods[attack])
    return paper.value(metric) if paper else None


@dataclass(frozen=True, kw_only=True)
class QualityContrast(PairedContrast):
    """An attack against the reference in one metric, over the pairs that both fool.

    ``p`` is of Wilcoxon's signed-rank test on each image's difference, the mean over its victims;
    ``ahead`` is the less visible attack, where mean and median of these differences agree.

    Attributes:
        metric: a column of the rows.
        pairs: of image and victim.
        images: how many the pairs are of; the units of the test.
        effect: of a metric that is better when lower, the other's mean over the reference's; of
            the others, the other's mean minus the reference's.
        published: the paper's effect, where both methods are in it.
    """

    metric: str
    pairs: int
    images: int
    effect: Estimate
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
    ours = data.values(reference, metrics)
    found = [
        contrast
        for attack in others
        for contrast in _contrasts(data, reference, ours, attack, metrics)
        if contrast.pairs
    ]
    return corrected(found)


def _contrasts(
    data: WhiteBox, reference: str, values: Floats, attack: str, metrics: Sequence[str]
) -> list[QualityContrast]:
    """Return the contrasts of one attack, not corrected yet."""
    pairs = data.matched([reference, attack])
    ours, theirs = values[pairs], data.values(attack, metrics)[pairs]
    # A pair counts where both values are finite: an unchanged image's PSNR is infinite.
    finite = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = (by_image(np.where(finite, x, 0.0), pairs) for x in (ours, theirs))
    count = by_image(finite.astype(np.float64), pairs)
    lower = np.array([column(metric).better == "lower" for metric in metrics])
    # Lower is better: the ratio of both means. Else the difference of means, as a ratio to counts.
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
                ahead=_ahead(differences, bool(lower[k])),
                p=signed_rank(differences),
                published=_published_effect(data, reference, attack, metric),
            )
        )
    return found


def _ahead(differences: Floats, lower: bool) -> Winner:
    """Return the less visible attack by differences other − reference, per image."""
    if not len(differences):
        return "neither"
    mean, median = float(differences.mean()), float(np.median(differences))
    # The test is of ranks, the effect of means: a few large differences may part the two.
    if mean * median <= 0:
        return "neither"
    return ahead_by(mean if lower else -mean)


def _published_effect(data: WhiteBox, reference: str, attack: str, metric: str) -> float | None:
    ours = published_quality(data, reference, metric)
    theirs = published_quality(data, attack, metric)
    if ours is None or theirs is None or data.methods[reference] == data.methods[attack]:
        return None
    return theirs / ours if column(metric).better == "lower" else theirs - ours

"""How visible attacks are at matched success: means over the pairs that every one of them fools."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from project.report.comparison.published import PUBLISHED
from project.report.comparison.white_box import Pair, WhiteBox
from project.statistics.bootstrap import Estimate, Floats, cluster_ratios


@dataclass(frozen=True)
class Quality:
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
    data: WhiteBox, attacks: Sequence[str], metrics: Sequence[str], matched: Sequence[Pair]
) -> list[Quality]:
    """Return every metric's mean of every attack over the matched pairs."""
    keys = [(attack, metric) for attack in attacks for metric in metrics]
    values = columns_of(data, keys, matched)
    means = cluster_means(values, matched)
    return [
        Quality(
            attack=attack,
            metric=metric,
            mean=mean,
            pairs=int(np.isfinite(values[:, k]).sum()),
            infinite=int(np.isinf(values[:, k]).sum()),
            published=published_quality(data, attack, metric),
        )
        for k, ((attack, metric), mean) in enumerate(zip(keys, means, strict=True))
    ]


def columns_of(data: WhiteBox, keys: Sequence[tuple[str, str]], pairs: Sequence[Pair]) -> Floats:
    """Return the columns of (attack, metric) at some pairs, (pairs, K), NaN where a row has none.

    Args:
        data: the rows.
        keys: K attacks and metrics.
        pairs: of image and victim.
    """
    found = [data.values(attack, metric, pairs) for attack, metric in keys]
    return np.stack(found, axis=1) if found else np.zeros((len(pairs), 0))


def cluster_means(values: Floats, pairs: Sequence[Pair]) -> list[Estimate]:
    """Return the mean of each column over its finite values, with an interval over images.

    Args:
        values: (pairs, K).
        pairs: what the values belong to.
    """
    finite = np.isfinite(values)
    return cluster_ratios(
        by_image(np.where(finite, values, 0.0), pairs), by_image(finite.astype(np.float64), pairs)
    )


def by_image(values: Floats, pairs: Sequence[Pair]) -> Floats:
    """Sum values over the victims of each image, (pairs, K) to (images, K)."""
    images, place = np.unique([pair.image for pair in pairs], return_inverse=True)
    sums = np.zeros((len(images), values.shape[1]))
    np.add.at(sums, place, values)
    return sums


def published_quality(data: WhiteBox, attack: str, metric: str) -> float | None:
    """Return what SSTA's paper reports of an attack's method, None where it is not in it."""
    paper = PUBLISHED.get(data.methods[attack])
    return paper.value(metric) if paper else None

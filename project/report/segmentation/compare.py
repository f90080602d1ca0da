"""Attacks on segmenters compared: means of mIoU over pairs, and paired tests against a reference.

Pairs of source and victim share their images, so an interval draws each image for all pairs
together, and a test swaps two attacks' results of an image in all pairs together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from project.report.contrast import PairedContrast, ahead_by, corrected
from project.report.segmentation.pairs import SourceVictim, TransferData
from project.statistics.bootstrap import Estimate, Floats, bootstrap
from project.statistics.miou import Scores, scores
from project.statistics.paired_tests import differences, permutation_test

Group = Literal["white box", "transfer"]
METRICS = ("miou", "miou_drop", "fooled_pixels")


@dataclass(frozen=True)
class PairMean:
    """An attack's mean over the pairs of a group.

    Attributes:
        attack: its name.
        group: ``transfer`` where the victim shares no network with the source, ``white box`` where
            it is the source.
        metric: of :data:`METRICS`.
        pairs: how many.
        estimate: the mean, with an interval over images, each drawn for all pairs together.
    """

    attack: str
    group: Group
    metric: str
    pairs: int
    estimate: Estimate


def means(data: TransferData) -> list[PairMean]:
    """Return the means of all attacks over the groups that have pairs."""
    groups: dict[Group, list[SourceVictim]] = {
        "transfer": data.transfer,
        "white box": data.white_box,
    }
    return [
        PairMean(attack, group, metric, len(pairs), estimate)
        for attack in data.attacks
        for group, pairs in groups.items()
        if pairs
        for metric, estimate in zip(METRICS, _estimates(data, attack, pairs), strict=True)
    ]


def _estimates(data: TransferData, attack: str, pairs: Sequence[SourceVictim]) -> list[Estimate]:
    columns = data.columns(attack, pairs)
    wanted = [Scores._fields.index(metric) for metric in METRICS]

    def statistic(sums: Floats) -> Floats:
        found = scores(sums.reshape(len(sums), *columns.shape[1:]))
        return np.stack([found[k].mean(-1) for k in wanted], -1)

    return bootstrap(columns.reshape(len(columns), -1), statistic)


@dataclass(frozen=True, kw_only=True)
class MiouContrast(PairedContrast):
    """An attack against the reference on one pair, or in the mean over all transfer pairs.

    ``p`` is of the permutation test, corrected over all attacks of the mean's table, or of the
    pairs' table; ``ahead`` is the stronger attack.

    Attributes:
        pair: None is the mean.
        difference: the other's mIoU minus the reference's; above 0 the reference is stronger. The
            interval is over images, drawn for both attacks together.
    """

    pair: SourceVictim | None
    difference: Estimate


def contrasts(data: TransferData, reference: str) -> tuple[list[MiouContrast], list[MiouContrast]]:
    """Test every other attack against the reference.

    Returns:
        The contrasts of means over transfer pairs, and those of each pair, white box too.
    """
    others = [attack for attack in data.attacks if attack != reference]
    found = [one for other in others for one in _contrasts(data, reference, other)]
    overall = [one for one in found if one.pair is None]
    by_pair = [one for one in found if one.pair is not None]
    return corrected(overall), corrected(by_pair)


def _contrasts(data: TransferData, reference: str, other: str) -> list[MiouContrast]:
    """Return one contrast per pair and that of the mean over transfer pairs, not corrected yet."""
    averaged = [data.pairs.index(pair) for pair in data.transfer]
    ours, theirs = data.counts(reference, data.pairs), data.counts(other, data.pairs)
    both = np.stack([ours, theirs], 1)

    def statistic(sums: Floats) -> Floats:
        summed = sums.reshape(len(sums), *both.shape[1:])
        return differences(summed[:, 0], summed[:, 1], averaged)

    # Both attacks in one bootstrap: an image drawn for one is drawn for the other too.
    found = bootstrap(both.reshape(len(both), -1).astype(np.float64), statistic)
    tests = permutation_test(ours, theirs, averaged)
    pairs = [*data.pairs, *([None] if averaged else [])]
    return [
        MiouContrast(
            attack=other,
            pair=pair,
            difference=difference,
            ahead=ahead_by(difference.value),
            p=float(p),
        )
        for pair, difference, p in zip(pairs, found, tests, strict=True)
    ]

"""Attacks against a reference: the difference in the victims' mIoU, tested on the same images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from project.report.segmentation.pairs import Judged, Pair
from project.statistics.bootstrap import Estimate, Floats, bootstrap
from project.statistics.paired_tests import differences, holm, permutation_test

Winner = Literal["reference", "other", "neither"]
_LEVEL = 0.05


@dataclass(frozen=True)
class Contrast:
    """An attack against the reference on one pair, or in the mean over all transfer pairs.

    Attributes:
        attack: the other attack.
        pair: None is the mean.
        difference: the other's mIoU minus the reference's; above 0 the reference is stronger. The
            interval is over images, drawn for both attacks together.
        p: of the permutation test.
        corrected: p by Holm, over all attacks of the mean's table, or of the pairs' table.
        winner: who is stronger, where corrected is below 5 %.
    """

    attack: str
    pair: Pair | None
    difference: Estimate
    p: float
    corrected: float = math.nan
    winner: Winner = "neither"


def contrasts(data: Judged, reference: str) -> tuple[list[Contrast], list[Contrast]]:
    """Test every other attack against the reference.

    Returns:
        The contrasts of means over transfer pairs, and those of each pair, white box too.
    """
    others = [attack for attack in data.attacks if attack != reference]
    found = [one for other in others for one in _contrasts(data, reference, other)]
    overall = [one for one in found if one.pair is None]
    by_pair = [one for one in found if one.pair is not None]
    return _corrected(overall), _corrected(by_pair)


def _contrasts(data: Judged, reference: str, other: str) -> list[Contrast]:
    """Return one contrast per pair and that of the mean over transfer pairs, not corrected yet."""
    averaged = [data.pairs.index(pair) for pair in data.transfer]
    ours, theirs = data.counts(reference, data.pairs), data.counts(other, data.pairs)
    both = np.stack([ours, theirs], 1)

    def statistic(sums: Floats) -> Floats:
        summed = sums.reshape(len(sums), *both.shape[1:])
        return differences(summed[:, 0], summed[:, 1], averaged)

    found = bootstrap(both.reshape(len(both), -1).astype(np.float64), statistic)
    tests = permutation_test(ours, theirs, averaged)
    pairs = [*data.pairs, *([None] if averaged else [])]
    return [
        Contrast(other, pair, difference, float(p))
        for pair, difference, p in zip(pairs, found, tests, strict=True)
    ]


def _corrected(found: Sequence[Contrast]) -> list[Contrast]:
    corrected = holm([contrast.p for contrast in found])
    return [
        replace(one, corrected=p, winner=_winner(one.difference.value, p))
        for one, p in zip(found, corrected, strict=True)
    ]


def _winner(difference: float, p: float) -> Winner:
    if not p < _LEVEL or difference == 0:
        return "neither"
    return "reference" if difference > 0 else "other"

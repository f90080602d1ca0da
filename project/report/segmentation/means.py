"""Means over pairs of source and victim, which share their images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from project.report.segmentation.pairs import Judged, Pair
from project.statistics.bootstrap import Estimate, Floats, bootstrap
from project.statistics.miou import Scores, scores

Group = Literal["white box", "transfer"]
METRICS = ("miou", "miou_drop", "fooled_pixels")


@dataclass(frozen=True)
class Mean:
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


def means(data: Judged) -> list[Mean]:
    """Return the means of all attacks over the groups that have pairs."""
    groups: dict[Group, list[Pair]] = {"transfer": data.transfer, "white box": data.white_box}
    return [
        Mean(attack, group, metric, len(pairs), estimate)
        for attack in data.attacks
        for group, pairs in groups.items()
        if pairs
        for metric, estimate in zip(METRICS, _estimates(data, attack, pairs), strict=True)
    ]


def _estimates(data: Judged, attack: str, pairs: Sequence[Pair]) -> list[Estimate]:
    columns = data.columns(attack, pairs)
    wanted = [Scores._fields.index(metric) for metric in METRICS]

    def statistic(sums: Floats) -> Floats:
        found = scores(sums.reshape(len(sums), *columns.shape[1:]))
        return np.stack([found[k].mean(-1) for k in wanted], -1)

    return bootstrap(columns.reshape(len(columns), -1), statistic)

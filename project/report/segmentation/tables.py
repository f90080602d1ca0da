"""The comparison of attacks on segmenters as tables."""

from __future__ import annotations

import math
from collections.abc import Sequence

from project.report.matrix import matrix
from project.report.segmentation.compare import METRICS, MiouContrast, PairMean
from project.report.segmentation.pairs import SourceVictim, TransferData
from project.report.tables import Table, TableCell, p_value, signed
from project.statistics.bootstrap import RESAMPLES, Estimate
from project.statistics.paired_tests import PERMUTATIONS

_TITLES = {"miou": "mIoU ↓", "miou_drop": "drop ↑", "fooled_pixels": "pixels fooled ↑"}
_FEWEST = 6
"""The permutation test of N images has no p below 2 / 2^N, which is above 5 % up to five images."""


def mean_table(data: TransferData, found: Sequence[PairMean]) -> Table:
    """Return each attack's means over transfer pairs, and over white-box ones."""
    groups = list(dict.fromkeys((one.group, one.pairs) for one in found))
    cells = {(one.attack, one.group, one.metric): one.estimate for one in found}
    note = (
        "Means over pairs of source and victim. Transfer: the victim shares no network with the "
        "source, so neither the source itself nor a member of an ensemble counts. mIoU from the "
        f"pixels of all {data.images} images; drop: clean minus that, in points; pixels fooled: of "
        f"those right when clean. BCa bootstrap 95 % intervals: {RESAMPLES} seeded resamples of "
        "whole images, each drawn for all pairs together."
    )
    columns = [
        f"{group}: {_TITLES[metric]} ({pairs} pair{'s' * (pairs > 1)})"
        for group, pairs in groups
        for metric in METRICS
    ]
    rows = [
        (
            attack,
            [_percent(cells[attack, group, metric]) for group, _ in groups for metric in METRICS],
        )
        for attack in data.attacks
    ]
    return Table("Means over pairs", note, "attack", columns, rows)


def overall_table(data: TransferData, found: Sequence[MiouContrast], reference: str) -> Table:
    """Return who is stronger in the mean over all transfer pairs."""
    note = (
        f"Mean mIoU over the {len(data.transfer)} transfer pairs, minus that of {reference}, in "
        f"points: above 0 {reference} is stronger. {_inference(data)} Holm's correction is for "
        f"{len(found)} attacks."
    )
    rows = [
        (
            one.attack,
            [
                TableCell(_points(one.difference.value), winner=one.winner),
                TableCell("–" if math.isnan(one.difference.low) else _span(one.difference)),
                TableCell(p_value(one.p).removeprefix("p ")),
                TableCell(p_value(one.corrected).removeprefix("p ")),
                TableCell(
                    {"reference": reference, "other": one.attack, "neither": "–"}[one.winner]
                ),
            ],
        )
        for one in found
    ]
    columns = ["Δ mean mIoU", "95 % interval", "p", "p (Holm)", "stronger"]
    return Table(f"Transfer against {reference}", note, "attack", columns, rows)


def pair_table(data: TransferData, found: Sequence[MiouContrast], reference: str) -> Table:
    """Return who is stronger on each pair."""
    cells = {(one.attack, one.pair): one for one in found}
    # Without a transfer pair there is no table above that would have said it.
    inference = "Interval and test as above." if data.transfer else _inference(data)
    note = (
        f"The victim's mIoU on each pair, minus that under {reference}, in points; ◆ is white box. "
        f"{inference} p by Holm for all {len(found)} tests. ✓ {reference} is stronger, ✗ the other "
        "is, at 5 %; no mark: not shown."
    )
    attacks = list(dict.fromkeys(one.attack for one in found))
    rows = [(attack, [_contrast(cells[attack, pair]) for pair in data.pairs]) for attack in attacks]
    columns = [_arrow(pair) for pair in data.pairs]
    return Table(f"Each pair against {reference}", note, "attack", columns, rows)


def matrix_table(data: TransferData, attack: str) -> Table:
    """Return an attack's transfer matrix."""
    shown = matrix(data.run, attack)
    note = (
        "mIoU, change from clean in points, 95 % interval; ◆ is white box, ◇ shares a network with "
        "the source."
    )
    rows = [
        (source, [TableCell(c.main + " ◆" * c.white_box + " ◇" * c.kin, c.details) for c in cells])
        for source, cells in [*shown.rows, ("clean", shown.clean)]
    ]
    return Table(f"Transfer of {attack}", note, "source ↓ victim →", shown.victims, rows)


def _inference(data: TransferData) -> str:
    """Say what interval and test are, and what the test cannot say."""
    swaps = 2**data.images
    drawn = f"all {swaps}" if swaps <= PERMUTATIONS else f"{PERMUTATIONS} seeded"
    text = (
        "BCa bootstrap 95 % interval over images, drawn for both attacks together. p of a "
        f"two-sided permutation test: {drawn} swaps of the two attacks' images, all pairs of one "
        "image together."
    )
    if data.images < _FEWEST:
        text += (
            f" With {data.images} image{'s' * (data.images > 1)} no p can be below 5 %: nothing "
            "can be shown here, whatever the difference."
        )
    return text


def _contrast(one: MiouContrast) -> TableCell:
    details = () if math.isnan(one.difference.low) else (_span(one.difference),)
    return TableCell(
        _points(one.difference.value), (*details, p_value(one.corrected)), winner=one.winner
    )


def _arrow(pair: SourceVictim) -> str:
    return f"{pair.source} → {pair.victim}{' ◆' * (pair.source == pair.victim)}"


def _percent(estimate: Estimate) -> TableCell:
    if math.isnan(estimate.low):
        return TableCell(signed(100 * estimate.value, 1))
    ends = "–".join(signed(100 * end, 1) for end in estimate[1:])
    return TableCell(signed(100 * estimate.value, 1), (ends,))


def _points(value: float) -> str:
    return ("+" if value > 0 else "") + signed(100 * value, 2)


def _span(estimate: Estimate) -> str:
    return f"{_points(estimate.low)} … {_points(estimate.high)}"

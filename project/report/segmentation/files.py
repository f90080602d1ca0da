"""The comparison of attacks on segmenters as numbers beside the report."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from project.report.segmentation.contrast import Contrast
from project.report.segmentation.means import METRICS, Mean
from project.report.segmentation.pairs import Judged
from project.storage.files import replace_file


class Line(NamedTuple):
    """One number of transfer.csv.

    Attributes:
        table: cell, mean or contrast.
        attack: its name; empty for a clean cell.
        reference: what a contrast is against, else empty.
        source: ``transfer`` or ``white box`` where pairs of that kind are averaged.
        victim: ``all`` likewise.
        metric: miou, miou_drop or fooled_pixels; of a contrast, the other's minus the reference's.
        value: in [0, 1], a contrast in [-1, 1].
        low: lower end of the 95 % interval.
        high: upper end.
        pairs: of source and victim, that the value is of.
        images: that it is counted on.
        p: of the permutation test.
        p_holm: corrected for all attacks, or of single pairs for all attacks and pairs.
    """

    table: str
    attack: str
    reference: str
    source: str
    victim: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    pairs: int = 1
    images: int | None = None
    p: float | None = None
    p_holm: float | None = None


def write_numbers(
    path: Path, data: Judged, means: Sequence[Mean], contrasts: Sequence[Contrast], reference: str
) -> None:
    """Write all numbers as CSV in long form, floats with all their digits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Line._fields)
    for lines in (_cells(data), _means(means), _contrasts(contrasts, reference, data)):
        for line in lines:
            counted = line._replace(images=data.images)
            table.writerow(["" if _missing(cell) else cell for cell in counted])
    replace_file(path, text.getvalue().encode())


def _cells(data: Judged) -> Iterator[Line]:
    wanted = (*METRICS, "clean_miou")
    for measure in data.run.measures:
        if measure.metric in wanted:
            attack, source, victim, metric, value, low, high, *_ = measure
            yield Line("cell", attack, "", source, victim, metric, value, low, high)


def _means(means: Sequence[Mean]) -> Iterator[Line]:
    for one in means:
        line = Line("mean", one.attack, "", one.group, "all", one.metric, *one.estimate)
        yield line._replace(pairs=one.pairs)


def _contrasts(contrasts: Sequence[Contrast], reference: str, data: Judged) -> Iterator[Line]:
    for one in contrasts:
        source, victim = one.pair or ("transfer", "all")
        line = Line("contrast", one.attack, reference, source, victim, "miou", *one.difference)
        pairs = 1 if one.pair else len(data.transfer)
        yield line._replace(pairs=pairs, p=one.p, p_holm=one.corrected)


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))

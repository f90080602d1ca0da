"""Bootstrap intervals over images for segmenters' mIoU and other measures, from the rows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from project.statistics.bootstrap import Estimate, Floats, bootstrap
from project.statistics.miou import Cell, Key, Scores, scores
from project.storage.rows import Measure


def with_intervals(measures: Sequence[Measure], cells: Iterable[tuple[Key, Cell]]) -> list[Measure]:
    """Add bootstrap intervals to segmentation measures, and the drop from clean beside mIoU.

    Args:
        measures: the measures of all passes and victims.
        cells: the cells of all images, of which one is in memory at a time.
    """
    found, images = {}, 0
    for key, cell in cells:
        found[key] = _estimates(cell)
        images = max(images, len(cell.index))  # each cell has all of them
    # Every pass has the clean images' counts; any of them will do.
    found |= {("", "", victim): estimates for (_, _, victim), estimates in found.items()}
    return [one for measure in measures for one in _completed(measure, found, images)]


def _estimates(cell: Cell) -> dict[str, Estimate]:
    def statistic(sums: Floats) -> Floats:
        return np.stack(scores(sums), -1)

    return dict(zip(Scores._fields, bootstrap(cell.columns, statistic), strict=True))


def _completed(
    measure: Measure, found: dict[tuple[str, str, str], dict[str, Estimate]], images: int
) -> Iterator[Measure]:
    estimates = found.get(measure[:3], {})
    if measure.metric not in estimates:
        yield measure
        return
    yield _bounded(measure, estimates[measure.metric], images)
    if measure.metric == "miou":
        drop = estimates["miou_drop"]
        yield _bounded(measure._replace(metric="miou_drop", value=drop.value), drop, images)


def _bounded(measure: Measure, estimate: Estimate, images: int) -> Measure:
    total = images if measure.total is None else measure.total
    if math.isnan(estimate.low):
        return measure._replace(total=total)
    return measure._replace(low=estimate.low, high=estimate.high, total=total)

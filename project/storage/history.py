"""The scalars of a training run over its steps: ``history.csv``, a line per number.

Columns
    step     number of batches trained on before, 0, 1, …
    epoch    0, 1, …
    metric   as logged, such as ``train/loss`` or ``val/robust_accuracy``
    value    the number
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from project.storage.csv_file import Line, read_csv, write_csv


class Point(NamedTuple):
    """One number of one metric."""

    step: int
    epoch: int
    metric: str
    value: float


class History:
    """All points of a run, one per step and metric; a later one replaces an earlier.

    Args:
        points: the first points.
    """

    def __init__(self, points: Iterable[Point] = ()) -> None:
        self._points = {(point.step, point.metric): point for point in points}

    @property
    def points(self) -> list[Point]:
        """All points, sorted by step."""
        return sorted(self._points.values(), key=lambda point: point.step)

    def add(self, step: int, epoch: int, metrics: Mapping[str, float]) -> None:
        """Add the metrics of one step."""
        for metric, value in metrics.items():
            self._points[step, metric] = Point(step, epoch, metric, float(value))

    def until(self, step: int) -> History:
        """Return the history up to a step, for a run that resumes from a checkpoint."""
        return History(point for point in self.points if point.step <= step)

    def write(self, path: Path) -> None:
        """Write all points as CSV, floats with all their digits; replaces the file atomically."""
        write_csv(path, Point._fields, self.points)

    @classmethod
    def read(cls, path: Path) -> History:
        """Read a history that :meth:`write` wrote."""
        return cls(read_csv(path, Point._fields, _point))


def _point(line: Line) -> Point:
    return Point(int(line["step"]), int(line["epoch"]), line["metric"], float(line["value"]))

"""The table with pictures: some samples of the gallery with their rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import wandb

from project.report.gallery import Sample
from project.report.pictures import strip
from project.report.run import Run
from project.report.run_rows import Row
from project.tracking.subsample import spread

MOST_SAMPLES = 48  # of all attacks and sources together
_HEIGHT = 112  # pixels; a row of a dashboard's table is no higher
_KNOWN = ("attack", "source", "victim", "index", "task")
_CLASSES = ("target", "clean_prediction", "prediction")


def gallery_table(run: Run) -> wandb.Table | None:
    """Return evenly spaced samples of the gallery, each with its source's row; None without any.

    At most :data:`MOST_SAMPLES`, so the table of 50,000 images is no larger than that of 48.
    """
    shown = spread(run.gallery, MOST_SAMPLES)
    if not shown:
        return None
    verdicts = own_rows(run, shown)
    told = [verdicts.get((one.attack, one.source, one.index), {}) for one in shown]
    columns = _columns(told)
    names = run.facts.get("class_names") or []
    data = [
        [_picture(sample), sample.attack, sample.source, sample.index]
        + [_named(column, row.get(column), names) for column in columns]
        for sample, row in zip(shown, told, strict=True)
    ]
    return wandb.Table(columns=["picture", "attack", "source", "index", *columns], data=data)


def own_rows(
    run: Run, samples: Iterable[Sample], names: Iterable[str] = ()
) -> dict[tuple[str, str, int], Row]:
    """Return the white-box rows of samples, whose victim is the source, where there are any.

    Args:
        run: the run.
        samples: which.
        names: of the columns; none is all but the counts by class.

    Returns:
        By attack, source and index.
    """
    wanted: dict[tuple[str, str], list[int]] = {}
    for one in samples:
        wanted.setdefault((one.attack, one.source), []).append(one.index)
    columns = tuple(names) or run.results.names
    return {
        (attack, source, index): row
        for (attack, source), indices in sorted(wanted.items())
        for index, row in run.results.rows(
            columns, (attack, source, source), np.array(indices, np.int64)
        ).items()
    }


def _columns(rows: list[Row]) -> list[str]:
    """Return the names of the rows' further columns with any value, in the order of the file."""
    names = dict.fromkeys(name for row in rows for name in row if name not in _KNOWN)
    return [name for name in names if any(row.get(name) is not None for row in rows)]


def _picture(sample: Sample) -> wandb.Image:
    shown = [(picture.label, picture.image) for picture in sample.pictures()]
    return wandb.Image(strip(shown, _HEIGHT), file_type="jpg")


def _named(column: str, value: Any, names: list[str]) -> Any:
    """Return a class by its name, or its number as text, since a column holds one type.

    Values that are no classes, and classes without names in the whole run, are returned as is.
    """
    if column not in _CLASSES or value is None or not names:
        return value
    return names[value] if value < len(names) else str(value)

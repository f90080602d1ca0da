"""Traces of one attack on one source at a time, since those of a large run are millions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from project.storage.column_reader import ColumnReader
from project.storage.traces import KEYS

AttackSource = tuple[str, str]


@dataclass(frozen=True)
class TraceGroup:
    """The traces of an attack on a source.

    Attributes:
        index: (images,), their ids.
        values: (images, T) each, by name, only those with a value; NaN where there is none.
        steps: T, the number of steps of the longest trace.
    """

    index: NDArray[np.int64]
    values: dict[str, NDArray[np.float64]]
    steps: int


class TraceGroups(Mapping[AttackSource, TraceGroup]):
    """The traces of a run by attack and source, each read when it is asked for.

    Args:
        path: of a traces.parquet.

    Raises:
        DamagedError: here and later, if it is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._reader = ColumnReader.open(path, KEYS[:2])
        found = self._reader.stretches(KEYS[:2])
        self._stretches = {(attack, source): of for (attack, source), of in found.items()}

    def __len__(self) -> int:
        return len(self._stretches)

    def __iter__(self) -> Iterator[AttackSource]:
        return iter(self._stretches)

    def __contains__(self, key: object) -> bool:
        return key in self._stretches

    def __getitem__(self, key: AttackSource) -> TraceGroup:
        names = [name for name in self._reader.schema.names if name not in KEYS[:2]]
        [stretch, *_] = self._stretches[key]  # the file is sorted: there is one
        table = self._reader.table(names, *stretch)
        step = table["step"].to_numpy() - 1
        image = np.cumsum(step == 0) - 1
        columns = {
            name: table[name].to_numpy().astype(np.float64) for name in names if name not in KEYS
        }
        known = {name: ~np.isnan(column) for name, column in columns.items()}
        told = np.logical_or.reduce([np.zeros(len(step), bool), *known.values()])
        # An image has as many steps as its row says, if any of them tells something.
        last = np.flatnonzero(np.diff(image, append=-1))
        full = last[np.bincount(image, told, len(last)) > 0]
        steps = int(step[full].max(initial=-1)) + 1
        values = {
            name: _filled(image, step, column, len(last), steps)
            for name, column in columns.items()
            if known[name].any()
        }
        return TraceGroup(table["index"].to_numpy()[step == 0], values, steps)


def _filled(
    image: NDArray[np.int64],
    step: NDArray[np.int64],
    column: NDArray[np.float64],
    images: int,
    steps: int,
) -> NDArray[np.float64]:
    values = np.full((images, steps), np.nan)
    there = step < steps
    values[image[there], step[there]] = column[there]
    return values

"""The rows of a run, asked for group by group and column by column: never all of them at once.

A group is what one victim judged of one attack made on one source. In the file, which is sorted, it
is one stretch; a group that lies in several is put together, by ascending index.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.report.reading import damaged, whole
from project.statistics.bootstrap import Floats
from project.statistics.miou import COLUMNS as COUNTS
from project.statistics.miou import LATER, NUMBERS, Cell, Key
from project.storage.column_reader import ColumnReader, RowSpan
from project.storage.rows import COLUMNS, KEY, arrays

Row = dict[str, Any]
Indices = NDArray[np.int64]
WORDS = (*KEY[:3], "task")
"""Columns of few different texts."""


@dataclass(frozen=True)
class Columns:
    """Some columns of a group, aligned by ascending index.

    Attributes:
        index: (N,), the images' ids.
        values: (N,) each, by name; NaN where a row has no value, truth as 1 and 0.
    """

    index: Indices
    values: dict[str, Floats] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.index)

    def __getitem__(self, name: str) -> Floats:
        return self.values[name]


class RunRows:
    """A run's rows.

    Args:
        reader: of a rows.parquet; columns that an older version did not write are empty.

    Raises:
        InputError: here and by every method, if it is none, or a row does not say whose it is.
    """

    def __init__(self, reader: ColumnReader) -> None:
        self._reader = reader
        _require_columns(reader)
        with whole(reader.path):
            if reader.nulls("index"):
                raise ValueError("a row has no index")
            found = reader.stretches(KEY[:3])
        self._stretches: dict[Key, list[RowSpan]] = {
            (a, s, v): of for (a, s, v), of in found.items()
        }

    @classmethod
    def read(cls, path: Path) -> RunRows:
        """Open a rows.parquet, whose checksum is compared first."""
        with whole(path):
            return cls(ColumnReader.open(path, WORDS))

    @property
    def groups(self) -> list[Key]:
        """Attack, source and victim of each group, in the file's order."""
        return list(self._stretches)

    @cached_property
    def names(self) -> list[str]:
        """Names of the columns but for the counts by class, in the file's order."""
        known = [name for name in self._reader.schema.names if name not in COUNTS]
        return known + [name for name in COLUMNS if name not in (*known, *COUNTS)]

    @cached_property
    def float_columns(self) -> list[str]:
        """Names of the further columns that hold any number, in the file's order."""
        further = [name for name in self.names if name not in COLUMNS]
        return [name for name in further if self._nulls(name) < self._reader.rows]

    @cached_property
    def indices(self) -> Indices:
        """The ids of all images, ascending."""
        return of_images(self.columns((), key).index for key in self.groups)

    def count(self, key: Key) -> int:
        """Return how many rows a group has; 0 of one that is not there."""
        return sum(one.stop - one.start for one in self._stretches.get(key, ()))

    def columns(self, names: Iterable[str], key: Key) -> Columns:
        """Return columns of numbers of a group; one that is not there has no rows."""
        chosen = dict.fromkeys(names)
        table = self._table(chosen, key)
        index = table["index"].to_numpy()
        return Columns(index, {name: _floats(table[name]) for name in chosen})

    def values(self, names: Iterable[str], key: Key, indices: Indices) -> dict[str, list[Any]]:
        """Return columns of some images of a group, in the order of the ids given.

        Returns:
            By name, None where a row has no value and where the group has no such row. ``index`` is
            always among them, and None for the latter alone.
        """
        table = self._table(names, key)
        index = table["index"].to_numpy()
        place = np.searchsorted(index, indices)
        there = place < len(index)
        there[there] = index[place[there]] == indices[there]
        found: dict[str, list[Any]] = table.take(pa.array(place, mask=~there)).to_pydict()
        return found

    def rows(self, names: Iterable[str], key: Key, indices: Indices) -> dict[int, Row]:
        """Return columns of those of some images that a group has, row by row, by the ids."""
        found = self.values(names, key, indices)
        lines = (dict(zip(found, line, strict=True)) for line in zip(*found.values(), strict=True))
        return {row["index"]: row for row in lines if row["index"] is not None}

    def is_segmented(self, key: Key) -> bool:
        """Return whether a group was judged by a segmenter."""
        if "task" not in self._reader.schema.names:
            return False
        start = self._stretches[key][0].start
        with whole(self._reader.path):
            told = self._reader.table(["task"], start, start + 1)["task"][0].as_py()
        return bool(told == "segmentation")

    @cached_property
    def counted(self) -> bool:
        """Whether the rows have counts by class, as those of all segmenters but of old runs."""
        known = set(map(self._told, NUMBERS))
        if not self._reader.rows or not known <= set(self._reader.schema.names):
            return False
        return not self._nulls(COUNTS[0])

    def cell(self, key: Key) -> Cell:
        """Return a group's counts by class, where rows are :attr:`counted`."""
        table = self._table(map(self._told, NUMBERS), key)
        with whole(self._reader.path):
            found = arrays(table)
            return Cell.of({name: found[self._told(name)] for name in NUMBERS})

    def _told(self, name: str) -> str:
        """Return the column that tells what is asked for; of older runs, what it was then equal to.

        A run without a non-finite answer is the same whether or not those were counted.
        """
        known = name in self._reader.schema.names and not self._nulls(name)
        return name if known else LATER.get(name, name)

    def _nulls(self, name: str) -> int:
        with whole(self._reader.path):
            return self._reader.nulls(name)

    def _table(self, names: Iterable[str], key: Key) -> pa.Table:
        """Return columns of a group, with that of the index, by ascending index."""
        wanted = list(dict.fromkeys(["index", *names]))
        there = [name for name in wanted if name in self._reader.schema.names]
        with whole(self._reader.path):
            stretches = self._stretches.get(key) or [RowSpan(0, 0)]
            parts = [self._reader.table(there, *stretch) for stretch in stretches]
            read = pa.concat_tables(parts)
            made = {name: _cast(read, name) for name in wanted}
        table = pa.table(made)
        index = table["index"].to_numpy()
        if (index[1:] < index[:-1]).any():
            table = table.take(pa.array(np.argsort(index, kind="stable")))
        return table


def _require_columns(reader: ColumnReader) -> None:
    """Refuse a file that lacks a column of the key, or has texts where numbers are wanted."""
    schema = reader.schema
    if missing := [name for name in KEY if name not in schema.names]:
        raise damaged(reader.path, f"it has no column {', '.join(missing)}")
    for one in schema:
        kind = COLUMNS.get(one.name, pa.float64())
        if _family(one.type) not in ("nothing", _family(kind)):
            raise damaged(reader.path, f"column {one.name} is of {one.type}, not of {kind}")


def _family(kind: pa.DataType) -> str:
    if pa.types.is_null(kind):
        return "nothing"
    if pa.types.is_dictionary(kind):
        return _family(kind.value_type)
    if pa.types.is_list(kind):
        return f"lists of {_family(kind.value_type)}"
    if pa.types.is_boolean(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind):
        return "numbers"
    return "texts" if pa.types.is_string(kind) or pa.types.is_large_string(kind) else str(kind)


def _cast(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Return a column as this version writes it, empty where an older one did not."""
    kind = COLUMNS.get(name, pa.float64())
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), kind)])
    return table[name] if table[name].type == kind else table[name].cast(kind)


def _floats(column: pa.ChunkedArray) -> Floats:
    """Return numbers or truth as floats, NaN where there is none."""
    made: Floats = pc.cast(column, pa.float64(), safe=False).to_numpy()
    return made


def of_images(indices: Iterable[Indices]) -> Indices:
    """Return the ids that any of some groups has, ascending."""
    found = last = np.zeros(0, np.int64)
    for index in indices:
        if not np.array_equal(index, last):  # nearly all groups have the same
            found, last = np.union1d(found, index), index
    return found

"""Attacks' traces over their steps: ``traces.parquet``, a row per attack × source × image × step.

Columns
    attack, source, index   as in rows.parquet
    step                    1, 2, …
    NAME                    float32, a column per trace; null where there is no value
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from project.storage.checksums import read_parquet
from project.storage.parts import (
    PartReader,
    TableKey,
    conformed,
    require_unique,
    sorted_by_index,
    write_table,
)

Values = NDArray[np.float32]
Counts = NDArray[np.int64]
KEYS = ("attack", "source", "index", "step")
_ROW_GROUP = 2**16  # rows


@dataclass(frozen=True)
class Trace:
    """The traces of one image under one attack.

    Attributes:
        attack: name of the attack.
        source: name of the victim attacked.
        index: the image's index.
        values: (T,) each, by name; NaN where there is no value.
    """

    attack: str
    source: str
    index: int
    values: dict[str, Values]

    @property
    def key(self) -> tuple[str, str, int]:
        """The unique key, (attack, source, index)."""
        return self.attack, self.source, self.index

    @property
    def steps(self) -> int:
        """T, the number of steps of the longest trace."""
        return max((len(values) for values in self.values.values()), default=0)


def write_traces(path: Path, traces: Iterable[Trace]) -> None:
    """Write traces as Parquet, sorted by (attack, source, index); replaces the file atomically.

    Raises:
        ValueError: if two have the same attack, source and image.
    """
    passes: dict[TableKey, list[Trace]] = {}
    for trace in traces:
        passes.setdefault((trace.attack, trace.source), []).append(trace)
    tables = {key: sorted_by_index(traces_table(passes[key])) for key in sorted(passes)}
    for key, table in tables.items():
        require_unique(key, table["index"].to_numpy())
    names = {name for table in tables.values() for name in table.column_names}
    _write(path, names, tables.items())


def merge_traces(path: Path, parts: PartReader, names: Collection[str]) -> None:
    """Write the traces of parts as :func:`write_traces` writes them, with the same bytes.

    Args:
        path: the file; replaced atomically.
        parts: chunks of :func:`traces_table` by (attack, source).
        names: all columns that any of them has.

    Raises:
        ValueError: if two traces are of the same attack, source and image.
    """
    _write(path, names, ((key, table) for key in parts.keys for table in parts.rows(key)))


def traces_table(traces: Sequence[Trace]) -> pa.Table:
    """Return traces of one attack and source as a table: a row per image, ``index`` and lists."""
    names = sorted({name for trace in traces for name in trace.values})
    columns = {
        name: pa.array([trace.values.get(name) for trace in traces], pa.list_(pa.float32()))
        for name in names
    }
    return pa.table({"index": pa.array([trace.index for trace in traces], pa.int64()), **columns})


def read_traces(path: Path) -> list[Trace]:
    """Read traces that :func:`write_traces` wrote.

    Raises:
        DamagedError: if the file is damaged.
    """
    table = read_parquet(path)
    names = [name for name in table.column_names if name not in KEYS]
    values = {name: table[name].to_numpy().astype(np.float32) for name in names}
    attacks, sources, indices = (table[name].to_pylist() for name in KEYS[:3])
    starts = np.flatnonzero(table["step"].to_numpy() == 1).tolist()
    found = []
    for start, end in pairwise([*starts, table.num_rows]):
        told = {name: column[start:end] for name, column in values.items()}
        told = {name: one for name, one in told.items() if not np.isnan(one).all()}
        found.append(Trace(attacks[start], sources[start], indices[start], told))
    return found


def _write(path: Path, names: Collection[str], tables: Iterable[tuple[TableKey, pa.Table]]) -> None:
    told = [(name, pa.float32()) for name in sorted({*names} - {"index"})]
    text, whole = pa.string(), pa.int64()
    schema = pa.schema([*zip(KEYS, (text, text, whole, whole), strict=True), *told])
    rows = (part for key, table in tables for part in _by_step(key, table, schema))
    write_table(path, schema, rows, _ROW_GROUP)


def _by_step(key: TableKey, table: pa.Table, schema: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows of a table of :func:`traces_table`, one per image and step."""
    lengths = [
        _lengths(column)
        for name, column in zip(table.column_names, table.columns, strict=True)
        if name != "index"
    ]
    steps = np.max(lengths, axis=0, initial=0) if lengths else np.zeros(len(table), int)
    images = max(1, _ROW_GROUP // max(1, int(steps.max(initial=1))))
    for start in range(0, len(table), images):
        yield _rows(key, table.slice(start, images), steps[start : start + images], schema)


def _rows(key: TableKey, table: pa.Table, steps: Counts, schema: pa.Schema) -> pa.Table:
    total, starts = int(steps.sum()), np.cumsum(steps) - steps
    columns = {
        "attack": pa.repeat(key[0], total),
        "source": pa.repeat(key[1], total),
        "index": pa.array(np.repeat(table["index"].to_numpy(), steps)),
        "step": pa.array(np.arange(1, total + 1) - np.repeat(starts, steps)),
    }
    for name in set(table.column_names) - {"index"}:
        column = table[name].combine_chunks()
        lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
        within = np.arange(int(lengths.sum())) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        values = np.full(total, np.nan, np.float32)
        values[np.repeat(starts, lengths) + within] = column.flatten().to_numpy(
            zero_copy_only=False
        )
        columns[name] = pa.array(values, pa.float32(), from_pandas=True)  # NaN becomes null
    return conformed(pa.table(columns), schema)


def _lengths(column: pa.Array | pa.ChunkedArray) -> Counts:
    """Return the lengths of lists, (N,), 0 of those that are null."""
    lengths: Counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy()
    return lengths

"""Attacks' traces over their steps: ``traces.parquet``, a row per attack × source × image × step.

Columns
    attack, source, index   as in rows.parquet
    step                    1, 2, …
    NAME                    float32, a column per trace; null where there is no value
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from project.storage.checksums import read_parquet
from project.storage.files import replace_file

Values = NDArray[np.float32]
KEYS = ("attack", "source", "index", "step")


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
    ordered = sorted(traces, key=lambda trace: trace.key)
    for before, after in pairwise(ordered):
        if before.key == after.key:
            raise ValueError(f"one trace per attack × source × image, got two for {after.key}.")
    sink = pa.BufferOutputStream()
    pq.write_table(_table(ordered), sink, compression="zstd", write_page_checksum=True)
    replace_file(path, sink.getvalue().to_pybytes())


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


def _table(traces: Sequence[Trace]) -> pa.Table:
    steps = [trace.steps for trace in traces]
    names = sorted({name for trace in traces for name in trace.values})
    return pa.table(
        {
            "attack": pa.array(_repeated([trace.attack for trace in traces], steps), pa.string()),
            "source": pa.array(_repeated([trace.source for trace in traces], steps), pa.string()),
            "index": pa.array(_repeated([trace.index for trace in traces], steps), pa.int64()),
            "step": pa.array([k for count in steps for k in range(1, count + 1)], pa.int64()),
            **{name: _column(traces, name) for name in names},
        }
    )


def _repeated(values: Sequence[str | int], times: Sequence[int]) -> list[str | int]:
    return [value for value, count in zip(values, times, strict=True) for _ in range(count)]


def _column(traces: Sequence[Trace], name: str) -> pa.Array:
    values = np.full(sum(trace.steps for trace in traces), np.nan, np.float32)
    start = 0
    for trace in traces:
        told = trace.values.get(name, ())
        values[start : start + len(told)] = told
        start += trace.steps
    return pa.array(values, pa.float32(), from_pandas=True)  # NaN becomes null

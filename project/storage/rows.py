"""Result files of an experiment: one row per image × attack × source × victim, and measures.

Files
    rows.parquet   the rows, sorted by (attack, source, victim, index)
    metrics.csv    data-set level numbers in long form: attack, source, victim, metric, value, …

Equal content gives equal bytes, and files are replaced atomically. Rows that do not fit into memory
are written in parts (:mod:`project.storage.parts`) and merged.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
from numpy.typing import NDArray

from project.storage.checksums import read_parquet
from project.storage.csv_file import read_csv, write_csv
from project.storage.parts import (
    PartReader,
    TableKey,
    conformed,
    require_unique,
    sorted_by_index,
    write_table,
)

_ROW_GROUP, _WIDE_ROW_GROUP = 2**14, 2**12  # rows: some megabytes each

KEY = ("attack", "source", "victim", "index")

COLUMNS: dict[str, pa.DataType] = {
    "index": pa.int64(),  # the sample's stable id in its data set
    "name": pa.string(),  # of its file, or whatever the data set calls it
    "task": pa.string(),  # classification or segmentation
    "attack": pa.string(),
    "source": pa.string(),  # the victim that was attacked
    "victim": pa.string(),  # the victim that is judged; equal to the source: white box
    # classification
    "target": pa.int64(),  # true class
    "clean_unanswered": pa.bool_(),  # a logit is NaN or infinite: no prediction, and what follows
    "unanswered": pa.bool_(),  # from one is null
    "clean_prediction": pa.int64(),
    "prediction": pa.int64(),
    "clean_confidence": pa.float64(),  # probability of the true class, 0 … 1
    "confidence": pa.float64(),
    "clean_correct": pa.bool_(),
    "correct": pa.bool_(),
    "fooled": pa.bool_(),  # right on the clean image, wrong now; null if either is unanswered
    # segmentation
    "valid_pixels": pa.int64(),
    "clean_unanswered_pixels": pa.int64(),  # valid, without a prediction; in no other count
    "unanswered_pixels": pa.int64(),
    "clean_correct_pixels": pa.int64(),
    "correct_pixels": pa.int64(),
    "judged_pixels": pa.int64(),  # right on the clean image, and with a prediction now
    "fooled_pixels": pa.int64(),  # of these, wrong now
    # and by class, (K,) each, valid pixels with a prediction; from their sums follows the mIoU
    "clean_labelled_by_class": pa.list_(pa.int64()),
    "labelled_by_class": pa.list_(pa.int64()),
    "clean_predicted_by_class": pa.list_(pa.int64()),
    "clean_correct_by_class": pa.list_(pa.int64()),
    "predicted_by_class": pa.list_(pa.int64()),
    "correct_by_class": pa.list_(pa.int64()),
    # the attack's own account
    "success": pa.bool_(),  # the source's verdict on the 8-bit image
    "success_float": pa.bool_(),  # the same before rounding
    "steps": pa.int64(),
}
"""Fixed columns, in order. A row may leave out what does not apply: it is null."""

LEADING_FLOATS = (
    *("ssim", "psnr", "lpips_squeeze", "lpips_alex", "lpips_vgg", "l2", "linf", "mse"),
    *("dists", "ms_ssim", "uqi", "uqi_sewar", "scc", "vif_p", "l0", "ciede2000"),
    *("stlpips_alex", "stlpips_vgg"),
)
"""First among the open-ended float columns; all others follow in alphabetical order."""


class Measure(NamedTuple):
    """One data-set level number.

    Attributes:
        attack: empty for a number about clean images.
        source: likewise.
        victim: the victim judged.
        metric: for example ``asr`` or ``miou``.
        value: NaN where nothing was judged.
        low: lower end of the 95 % interval, None without one.
        high: upper end of the interval, likewise.
        hits: of a rate, None otherwise.
        total: denominator of a rate, or the number of images of a mean.
    """

    attack: str
    source: str
    victim: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    hits: int | None = None
    total: int | None = None


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as Parquet, sorted by (attack, source, victim, index).

    Args:
        path: the file; replaced atomically.
        rows: columns of :data:`COLUMNS`, and any further columns of numbers.

    Raises:
        ValueError: if a row lacks part of its key, or two rows share one.
        TypeError: if a further column is not a number.
    """
    cells: dict[TableKey, list[Mapping[str, Any]]] = {}
    for row in rows:
        _require_key(row)
        cells.setdefault((row["attack"], row["source"], row["victim"]), []).append(row)
    tables = {key: sorted_by_index(rows_table(cells[key])) for key in sorted(cells)}
    for key, table in tables.items():
        require_unique(key, table["index"].to_numpy())
    names = {name for table in tables.values() for name in table.column_names}
    write_tables(path, names, tables.values())


def merge_rows(path: Path, parts: PartReader, names: Collection[str]) -> None:
    """Write the rows of parts as :func:`write_rows` writes them, with the same bytes.

    Args:
        path: the file; replaced atomically.
        parts: chunks of :func:`rows_table` by (attack, source, victim).
        names: all columns that any of them has.

    Raises:
        ValueError: if two rows share a key.
    """
    write_tables(path, names, (table for key in parts.keys for table in parts.rows(key)))


def rows_table(rows: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table of the columns that they have, in the order of those of a file.

    Raises:
        ValueError: if a row lacks part of its key.
        TypeError: if a further column is not a number.
    """
    known = {name for row in rows for name in row}
    schema = pa.schema([field for field in _schema(known) if field.name in known])
    columns = {name: _values(name, [row.get(name) for row in rows]) for name in schema.names}
    if any(name not in columns or None in columns[name] for name in KEY):
        for row in rows:
            _require_key(row)
    return pa.table(columns, schema=schema)


def write_tables(path: Path, names: Collection[str], tables: Iterable[pa.Table]) -> None:
    """Write rows that come in order, table by table, as :func:`write_rows` writes them.

    Args:
        path: the file; replaced atomically.
        names: all columns that any of the tables has.
        tables: of :func:`rows_table`.
    """
    schema = _schema(names)
    # Counts by class are hundreds of numbers a row, all other columns together some tens.
    row_group = _WIDE_ROW_GROUP if any("by_class" in name for name in names) else _ROW_GROUP
    write_table(path, schema, (conformed(table, schema) for table in tables), row_group)


def arrays(table: pa.Table) -> dict[str, NDArray[Any]]:
    """Return columns of numbers as arrays (N,), those of lists of one length K as (N, K)."""
    return {name: _array(table[name]) for name in table.column_names}


def read_rows(path: Path) -> pa.Table:
    """Read rows that :func:`write_rows` wrote.

    Raises:
        DamagedError: if the file is damaged, which its folder's checksums or its own tell.
    """
    return read_parquet(path)


def write_measures(path: Path, measures: Sequence[Measure]) -> None:
    """Write measures as CSV in the order given, floats with all their digits."""
    write_csv(path, Measure._fields, measures)


def read_measures(path: Path) -> list[Measure]:
    """Read measures that :func:`write_measures` wrote."""
    return read_csv(path, Measure._fields, _measure)


def remove_path(path: Path) -> None:
    """Remove a file, or a folder with its contents, if it exists."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _require_key(row: Mapping[str, Any]) -> None:
    missing = [name for name in KEY if row.get(name) is None]
    if missing:
        raise ValueError(f"a row needs {', '.join(KEY)}; got one without {', '.join(missing)}.")


def _array(column: pa.ChunkedArray) -> NDArray[Any]:
    if not pa.types.is_list(column.type):
        single: NDArray[Any] = column.to_numpy()
        return single
    flat: NDArray[Any] = column.combine_chunks().flatten().to_numpy()
    return flat.reshape(len(column), -1)


def _schema(names: Collection[str]) -> pa.Schema:
    further = set(names) - COLUMNS.keys()
    leading = [name for name in LEADING_FLOATS if name in further]
    floats = [(name, pa.float64()) for name in [*leading, *sorted(further.difference(leading))]]
    return pa.schema([*COLUMNS.items(), *floats])


def _values(name: str, values: list[Any]) -> list[Any]:
    """Return a column's values, those of a further column as floats."""
    if name in COLUMNS or {*map(type, values)} <= {float, type(None)}:
        return values
    for value in values:
        if value is not None and not isinstance(value, Real):
            raise TypeError(
                f"column {name!r} must hold numbers, got {value!r}. Convert tensors with .item()."
            )
    return [None if value is None else float(value) for value in values]


def _measure(row: Mapping[str, str]) -> Measure:
    def number(name: str) -> float | None:
        return float(row[name]) if row[name] else None

    def count(name: str) -> int | None:
        return int(row[name]) if row[name] else None

    value = number("value")
    return Measure(
        attack=row["attack"],
        source=row["source"],
        victim=row["victim"],
        metric=row["metric"],
        value=math.nan if value is None else value,
        low=number("low"),
        high=number("high"),
        hits=count("hits"),
        total=count("total"),
    )

"""Tables too large for memory: parts of them on disk, and merging these in order.

Convention
    part    a Parquet file, written by one process; of its row groups each is one chunk
    chunk   rows of one key, such as (attack, source, victim), ascending by the column ``index``
    merge   key by key, in memory no more than the chunks whose indices overlap, and some megabytes
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from project.storage.files import replacing, writing

_OPEN = 64  # parts of a pass that are open at once while they are read
_AT_ONCE = 2**23  # bytes that are put in order at once

TableKey = tuple[str, ...]
Entry = TypeVar("Entry")
NAMES = ("attack", "source", "victim")
"""What a key may say, in this order."""


class Chunk(NamedTuple):
    """Rows of one key in a part.

    Attributes:
        part: name of the file.
        place: number of the row group in it.
        key: what the rows have in common.
        first: the least index.
        last: the greatest.
        rows: their number.
    """

    part: str
    place: int
    key: TableKey
    first: int
    last: int
    rows: int


class PartWriter(Generic[Entry]):
    """Writes entries, such as rows, into parts; in memory are only those that fill no chunk yet.

    Attributes:
        chunks: what was written.
        names: all columns that there are, in the order in which they came.

    Args:
        folder: of the parts; made where it is missing.
        label: first part of the files' names, which no other process may have.
        table: makes a table of some entries; ``index`` is a column of it.
        most: entries of a chunk.
    """

    def __init__(
        self, folder: Path, label: str, table: Callable[[list[Entry]], pa.Table], most: int
    ) -> None:
        self.folder = folder
        self.label = label
        self.chunks: list[Chunk] = []
        self.names: dict[str, None] = {}
        self._table = table
        self._most = most
        self._waiting: dict[TableKey, list[Entry]] = {}
        self._parts = 0
        self._name = ""
        self._writer: Any = None
        self._places = 0

    def add(self, key: TableKey, entries: Iterable[Entry]) -> None:
        """Add entries of a key, in any order.

        Raises:
            WriteError: if the disk is full, for example.
        """
        waiting = self._waiting.setdefault(key, [])
        waiting += entries
        if len(waiting) >= self._most:
            self._write(key, self._waiting.pop(key))

    def flush(self) -> None:
        """Write what waits and end the part: to be read, or since a pass is over."""
        for key in list(self._waiting):
            self._write(key, self._waiting.pop(key))
        self._close()

    def _write(self, key: TableKey, entries: list[Entry]) -> None:
        if not entries:
            return
        table = sorted_by_index(self._table(entries))
        with writing(self.folder):
            if self._writer is None or self._writer.schema != table.schema:
                self._close()
                self._open(table.schema)
            self._writer.write_table(table, row_group_size=table.num_rows)
        index = table["index"]
        first, last = index[0].as_py(), index[-1].as_py()
        self.chunks.append(Chunk(self._name, self._places, key, first, last, table.num_rows))
        self.names |= dict.fromkeys(table.column_names)
        self._places += 1

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            with writing(self.folder):
                writer.close()

    def _open(self, schema: pa.Schema) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self._name, self._places = f"{self.label}-{self._parts:05d}.parquet", 0
        self._parts += 1
        # Nobody keeps a part, so that speed counts and not size.
        texts = [field.name for field in schema if field.type == pa.string()]
        options = {"compression": "lz4", "use_dictionary": texts, "write_statistics": False}
        self._writer = pq.ParquetWriter(self.folder / self._name, schema, **options)


class PartReader:
    """Reads chunks back, key by key and in order.

    Args:
        folder: of the parts.
        chunks: all that there are, of all processes.
    """

    def __init__(self, folder: Path, chunks: Iterable[Chunk]) -> None:
        self.folder = folder
        self._chunks: dict[TableKey, list[Chunk]] = {}
        for chunk in chunks:
            self._chunks.setdefault(chunk.key, []).append(chunk)
        self._opened = lru_cache(_OPEN)(lambda name: pq.ParquetFile(folder / name))
        self._pass: TableKey = ()

    @property
    def keys(self) -> list[TableKey]:
        """All keys, sorted."""
        return sorted(self._chunks)

    def rows(self, key: TableKey, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Yield the rows of a key, ascending by index, some thousands at a time.

        Args:
            key: one of :attr:`keys`.
            columns: those to read, ``index`` among them; None is all.

        Raises:
            ValueError: if two rows have the same index.
        """
        if key[:2] != self._pass:  # the next parts; what these say of their chunks is 10 MB a pass
            self.close()
            self._pass = key[:2]
        chunks = sorted(self._chunks[key], key=lambda chunk: (chunk.first, chunk.part, chunk.place))
        held, fresh = [], 0
        for chunk, later in zip(chunks, [*chunks[1:], None], strict=True):
            held.append(self._read(chunk, columns))
            fresh += held[-1].nbytes
            if later is not None and fresh < _AT_ONCE:
                continue
            table = sorted_by_index(pa.concat_tables(held, promote_options="default"))
            index = table["index"].to_numpy()
            require_unique(key, index)
            # All chunks that are still to be read begin at the next one's first index or later.
            ready = len(index) if later is None else int(index.searchsorted(later.first))
            if ready:
                yield table.slice(0, ready)
            held, fresh = [table.slice(ready)], 0

    def close(self) -> None:
        """Close the parts, so that they can be removed on any system."""
        self._opened.cache_clear()

    def _read(self, chunk: Chunk, columns: Sequence[str] | None) -> pa.Table:
        return self._opened(chunk.part).read_row_group(chunk.place, columns)


def sorted_by_index(table: pa.Table) -> pa.Table:
    """Return a table ascending by its column ``index``."""
    index = table["index"].to_numpy()
    if (index[1:] >= index[:-1]).all():
        return table
    return table.take(pa.array(np.argsort(index, kind="stable")))


def conformed(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a table with the columns of a schema, null where it has none of that name."""
    count, known = table.num_rows, set(table.column_names)
    columns = [
        table[field.name] if field.name in known else pa.nulls(count, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def write_table(path: Path, schema: pa.Schema, tables: Iterable[pa.Table], row_group: int) -> None:
    """Write a table that comes in pieces as one Parquet file, whose bytes do not tell the pieces.

    Args:
        path: the file; replaced atomically.
        schema: of the file and of all pieces.
        tables: the pieces.
        row_group: rows of each row group, but for the last one.
    """
    with (
        replacing(path) as file,
        pq.ParquetWriter(file, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        empty = True
        for table in _regrouped(tables, row_group):
            writer.write_table(table, row_group_size=row_group)
            empty = False
        if empty:
            writer.write_table(schema.empty_table())


def _regrouped(tables: Iterable[pa.Table], count: int) -> Iterator[pa.Table]:
    """Yield the same rows, so many at a time, each column in one piece."""
    held: list[pa.Table] = []
    lacking = count
    for table in tables:
        start = 0
        while start < table.num_rows:
            held.append(table.slice(start, lacking))
            start += held[-1].num_rows
            lacking -= held[-1].num_rows
            if not lacking:
                yield pa.concat_tables(held).combine_chunks()
                held, lacking = [], count
    if held:
        yield pa.concat_tables(held).combine_chunks()


def require_unique(key: TableKey, index: NDArray[np.int64]) -> None:
    """Check that no index comes twice among those of a key, ascending.

    Raises:
        ValueError: if one does.
    """
    twice = np.flatnonzero(index[1:] == index[:-1])
    if len(twice):
        place = (*key, int(index[twice[0]]))
        raise ValueError(
            f"one entry per image × {' × '.join(NAMES[: len(key)])}, got two for {place}. "
            "A sample was evaluated twice."
        )

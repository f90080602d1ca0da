"""Samples in Parquet files, as Hugging Face publishes them, read by row groups."""

from __future__ import annotations

import json
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from project.core.errors import InputError
from project.data.decoding import SampleError
from project.data.shards.shards import Numbers, SampleShards, hashed, stat_shard
from project.data.shards.texts import Texts

_KEPT = 2  # row groups of a process: neighbours, and one that lies across an end

_ABSENT = "has no picture: its bytes are null"

Group = tuple[Any, ...]
"""A row group's columns, photos first, each an array of bytes."""


class ShardColumns(NamedTuple):
    """The columns of photos and targets.

    Attributes:
        photo: of structs with ``bytes``, or of bytes.
        target: of integers, or of masks, likewise.
        mask: whether the targets are masks.
    """

    photo: str
    target: str
    mask: bool


class _File(NamedTuple):
    """What a shard's footer and its short columns say."""

    rows: list[int]  # of each row group
    sizes: list[int]  # bytes of each row group's pictures, not packed
    labels: Numbers
    paths: list[str] | None  # None where not every row has one
    faults: dict[int, str]
    class_names: tuple[str, ...]


class ParquetShards(SampleShards):
    """Samples in Parquet files, a row each. One read takes a whole row group; two are kept.

    Args:
        root: folder that the files are relative to.
        shards: their paths.
        columns: which columns are the photo and its target.

    Attributes:
        class_names: as the files' notes for Hugging Face tell them; empty if they do not.

    Raises:
        InputError: naming a file that is damaged, or has other columns.
    """

    def __init__(self, root: Path, shards: Sequence[str], columns: ShardColumns) -> None:
        self.columns = columns
        stamps = [stat_shard(root / shard) for shard in shards]
        files = [_listed(root / shard, columns) for shard in shards]
        super().__init__(root, shards, stamps, [sum(one.rows) for one in files])
        self.class_names = files[0].class_names
        self.labels = np.concatenate([one.labels for one in files])
        self.faults = {
            int(start) + row: fault
            for start, one in zip(self.starts, files, strict=False)
            for row, fault in one.faults.items()
        }
        self.names = self._named(files)
        rows = [count for one in files for count in one.rows]
        self.group_starts: Numbers = np.cumsum([0, *rows])
        self.sizes = np.array([size for one in files for size in one.sizes], np.int64)
        self._first_group: Numbers = np.cumsum([0, *(len(one.rows) for one in files)])
        self._groups = _RecentGroups()

    def encoded(self, index: int) -> tuple[bytes, ...]:
        """Return a row's pictures; see :class:`SampleShards`."""
        shard, _ = self.place(index)
        group = int(np.searchsorted(self.group_starts, index, "right")) - 1
        try:
            path = self.root / self.shards[shard]
            self.require_same(shard, os.stat(path))
            known = self._groups.get(group, lambda: self._read(path, shard, group))
        except FileNotFoundError as error:
            raise SampleError("its shard is missing") from error
        except OSError as error:  # among them pyarrow's of damaged pages
            raise SampleError(f"its shard cannot be read: {error.strerror or error}") from error
        except pa.ArrowException as error:
            raise SampleError(f"its row group cannot be read: {_first_line(error)}") from error
        row = index - int(self.group_starts[group])
        found = tuple(column[row].as_py() for column in known)
        if None in found:
            raise SampleError(_ABSENT)
        return found

    def where(self, index: int) -> str:
        """Return file and row, counted from 0."""
        shard, row = self.place(index)
        return f"{self.shards[shard]}: row {row} ({self.names[index]})"

    def content(self) -> list[Any]:
        """Return hashes of names, classes, and of the sizes of row groups."""
        names = (self.names.joined, self.names.ends)
        return hashed(*names, self.labels, self.group_starts, self.sizes)

    def _read(self, path: Path, shard: int, group: int) -> Group:
        wanted = [self.columns.photo, *([self.columns.target] if self.columns.mask else [])]
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            leaves = [_leaf(file.schema_arrow, name) for name in wanted]
            # One thread: Arrow's pool may be lost in a forked process, and workers share the cores.
            number = group - int(self._first_group[shard])
            table = file.read_row_group(number, columns=leaves, use_threads=False)
        return tuple(_bytes_of(table.column(name)) for name in wanted)

    def _named(self, files: Sequence[_File]) -> Texts:
        """Name samples by the files that they were, if these are told and differ, else by rows."""
        paths = [one.paths for one in files]
        told = [some for some in paths if some is not None]
        if len(told) == len(paths):
            names = Texts.of(
                PurePosixPath(path).with_suffix("").as_posix() for some in told for path in some
            )
            if names.repeated() is None:
                return names
        stems = [PurePosixPath(shard).with_suffix("").as_posix() for shard in self.shards]
        return Texts.of(
            f"{stem}_{row:06d}"
            for stem, one in zip(stems, files, strict=True)
            for row in range(sum(one.rows))
        )


class _RecentGroups:
    """The row groups that were read last, in this process and for all of its threads.

    A forked or spawned process begins with none: a lock that was held at the fork stays held.
    """

    def __init__(self) -> None:
        self._begin()

    def get(self, key: int, read: Callable[[], Group]) -> Group:
        """Return a row group, which is read if it is not known; by one thread at a time."""
        if self._process != os.getpid():
            self._begin()
        with self._lock:
            if key not in self._known:
                self._known[key] = read()
                while len(self._known) > _KEPT:
                    self._known.popitem(last=False)
            self._known.move_to_end(key)
            return self._known[key]

    def __getstate__(self) -> dict[str, Any]:
        return {}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._begin()

    def _begin(self) -> None:
        self._known: OrderedDict[int, Group] = OrderedDict()
        self._lock = threading.Lock()
        self._process = os.getpid()


def _listed(path: Path, columns: ShardColumns) -> _File:
    with _readable(path), pq.ParquetFile(path) as file:
        schema, metadata = file.schema_arrow, file.metadata
        _require_columns(path, schema, columns)
        leaves = {_leaf(schema, columns.photo)}
        if columns.mask:
            leaves.add(_leaf(schema, columns.target))
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        labels, faults = np.zeros(0, np.int64), _absent(file, leaves)
        if not columns.mask:
            labels, unlabelled = _labels(file.read([columns.target], use_threads=False).column(0))
            faults |= unlabelled
        return _File(
            rows=[group.num_rows for group in groups],
            sizes=[sum(size for name, size in _sizes(group) if name in leaves) for group in groups],
            labels=labels,
            paths=_paths(file, columns.photo),
            faults=faults,
            class_names=_class_names(schema, columns.target),
        )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Turn what pyarrow raises of a damaged file into one line."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{path}: must be a whole Parquet file, and cannot be read: {_first_line(error)}. "
            "Fetch it anew."
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0].rstrip(".")


def _require_columns(path: Path, schema: pa.Schema, columns: ShardColumns) -> None:
    """Check that the columns are there, and of the kinds that they must be."""
    pictures = [("image", columns.photo), *([("mask", columns.target)] if columns.mask else [])]
    labels = [] if columns.mask else [("label", columns.target)]
    for option, name in (*pictures, *labels):
        if schema.names.count(name) != 1:
            raise InputError(
                f"{path}: must have the column {name!r}, got {', '.join(schema.names)}. Set "
                f"--data.{option}."
            )
        kind = schema.field(name).type
        if option == "label" and not pa.types.is_integer(kind):
            raise InputError(
                f"{path}: the column {name!r} must hold classes as integers, got {kind}. Set "
                "--data.label."
            )
        if option != "label" and not _is_bytes(_inner(kind)):
            raise InputError(
                f"{path}: the column {name!r} must hold encoded pictures, struct<bytes, path> or "
                f"bytes, got {kind}. Set --data.{option}."
            )


def _inner(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
        return kind.field("bytes").type
    return kind


def _is_bytes(kind: pa.DataType) -> bool:
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _leaf(schema: pa.Schema, name: str) -> str:
    """Return the path of a column's bytes within the file."""
    return f"{name}.bytes" if pa.types.is_struct(schema.field(name).type) else name


def _bytes_of(column: pa.ChunkedArray) -> Any:
    return (
        column
        if _is_bytes(column.type)
        else pa.chunked_array([chunk.field("bytes") for chunk in column.chunks])
    )


def _sizes(group: Any) -> Iterator[tuple[str, int]]:
    for number in range(group.num_columns):
        column = group.column(number)
        yield column.path_in_schema, column.total_uncompressed_size


def _absent(file: pq.ParquetFile, leaves: Collection[str]) -> dict[int, str]:
    """Return the rows without a picture; only where the footer counts some are they looked for."""
    found, first = dict[int, str](), 0
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = [group.column(place) for place in range(group.num_columns)]
        for chunk in chunks:
            counted = chunk.statistics if chunk.path_in_schema in leaves else None
            if counted is not None and counted.null_count:
                table = file.read_row_group(number, [chunk.path_in_schema], use_threads=False)
                empty = _bytes_of(table.column(0)).is_null().to_numpy()
                found |= {first + int(row): _ABSENT for row in np.flatnonzero(empty)}
        first += group.num_rows
    return found


def _labels(column: pa.ChunkedArray) -> tuple[Numbers, dict[int, str]]:
    empty = np.flatnonzero(column.is_null().to_numpy())
    labels = column.fill_null(0).to_numpy().astype(np.int64)
    return labels, {int(row): "has no class" for row in empty}


def _paths(file: pq.ParquetFile, name: str) -> list[str] | None:
    """Return the paths of the pictures' files as far as they are told; None if some are not."""
    kind = file.schema_arrow.field(name).type
    if not pa.types.is_struct(kind) or kind.get_field_index("path") < 0:
        return None
    column = file.read([f"{name}.path"], use_threads=False).column(0)
    paths = [path for chunk in column.chunks for path in chunk.field("path").to_pylist()]
    return paths if all(paths) else None


def _class_names(schema: pa.Schema, name: str) -> tuple[str, ...]:
    """Return the names in the notes that Hugging Face's library leaves, if it left any."""
    try:
        notes = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
        names = notes["info"]["features"][name]["names"]
    except (ValueError, KeyError, TypeError):
        return ()
    whole = isinstance(names, list) and all(isinstance(one, str) for one in names)
    return tuple(names) if whole else ()

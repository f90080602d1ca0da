"""Rows and traces of an experiment, on disk from the batch that they come from to the end."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from project.evaluation.distributed import all_gather, broadcast, gather
from project.evaluation.plan import Pass
from project.evaluation.victim_metrics import Facts
from project.statistics.miou import NUMBERS, Cell, Key
from project.storage.files import writing
from project.storage.parts import Chunk, PartReader, PartWriter
from project.storage.rows import arrays, merge_rows, rows_table
from project.storage.traces import Trace, merge_traces, traces_table

_ROWS, _TRACES = 1024, 256  # of a chunk: some megabytes


class ResultParts:
    """Rows and traces of all passes, which every process writes into parts as they come.

    After :meth:`collect` the first process reads all of them, in order and with bounded memory;
    what the processes tell each other is where the parts are, and what columns they have.

    Args:
        folder: of the parts; best on a disk that all processes share, or the first one is sent the
            parts of the others. None is a temporary folder of each process.
        rank: this process's.
    """

    def __init__(self, folder: Path | None = None, rank: int = 0) -> None:
        self.folder = folder or Path(tempfile.mkdtemp(prefix="mirage-"))
        if folder is None:
            weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.rank = rank
        self._rows = PartWriter(self.folder, f"rows-{rank:05d}", rows_table, _ROWS)
        self._traces = PartWriter(self.folder, f"traces-{rank:05d}", traces_table, _TRACES)
        self._step: Pass | None = None
        self._read_rows = self._read_traces = PartReader(self.folder, [])
        self._row_names: set[str] = set()
        self._trace_names: set[str] = set()

    def add(self, step: Pass, rows: dict[str, list[Facts]], traces: Iterable[Trace]) -> None:
        """Add what a batch gave: each victim's rows by its name, and the attack's traces.

        Raises:
            WriteError: if the disk is full, for example.
        """
        if step != self._step:
            self._flush()
            self._step = step
        for victim, found in rows.items():
            self._rows.add((step.attack, step.source, victim), found)
        self._traces.add((step.attack, step.source), traces)

    def collect(self) -> None:
        """Let the first process know all parts; a collective, so every process must call it."""
        self._flush()
        writers = (self._rows, self._traces)
        told = gather([tuple((one.chunks, list(one.names)) for one in writers)])
        self._bring_parts()
        if self.rank == 0:
            rows, traces = zip(*told, strict=True)
            self._read_rows, self._row_names = self._reader(rows)
            self._read_traces, self._trace_names = self._reader(traces)

    @property
    def has_traces(self) -> bool:
        """Whether there are traces, on the first process after :meth:`collect`."""
        return bool(self._read_traces.keys)

    def write_rows(self, path: Path) -> None:
        """Write all rows as :func:`project.storage.rows.write_rows` does, on the first process.

        Raises:
            ValueError: if two rows share a key.
        """
        merge_rows(path, self._read_rows, self._row_names)

    def write_traces(self, path: Path) -> None:
        """Write all traces as :func:`project.storage.traces.write_traces` does, likewise."""
        merge_traces(path, self._read_traces, self._trace_names)

    def cells(self) -> Iterator[tuple[Key, Cell]]:
        """Yield the pixel counts of segmenters' rows, cell by cell, on the first process."""
        for key in self._read_rows.keys:
            attack, source, victim = key
            table = pa.concat_tables(self._read_rows.rows(key, NUMBERS))
            yield (attack, source, victim), Cell.of(arrays(table))

    def close(self) -> None:
        """Remove the parts, if this is the first process."""
        self._read_rows.close()
        self._read_traces.close()
        if self.rank == 0:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _flush(self) -> None:
        self._rows.flush()
        self._traces.flush()

    def _reader(self, told: Sequence[tuple[list[Chunk], list[str]]]) -> tuple[PartReader, set[str]]:
        chunks = [chunk for found, _ in told for chunk in found]
        return PartReader(self.folder, chunks), {name for _, names in told for name in names}

    def _bring_parts(self) -> None:
        """Send the first process the parts that are not on its disk, one after another."""
        own = {chunk.part for one in (self._rows, self._traces) for chunk in one.chunks}
        everyone = all_gather({name: (self.folder / name).stat().st_size for name in sorted(own)})
        lacking = [
            (owner, name)
            for owner, sizes in enumerate(everyone)
            for name, size in sizes.items()
            if _size(self.folder / name) != size
        ]
        for owner, name in broadcast(lacking, 0):
            path = self.folder / name
            content = broadcast(path.read_bytes() if owner == self.rank else b"", owner)
            if self.rank == 0:
                with writing(path):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(content)
            elif owner == self.rank:
                path.unlink()
        if self.rank:
            with contextlib.suppress(OSError):  # parts are left in it
                self.folder.rmdir()


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return -1

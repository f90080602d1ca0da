"""Parts of a table, merged, are the table: whoever wrote which part of it, and in which order."""

import random
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from project.storage.files import WriteError
from project.storage.parts import PartReader, PartWriter, write_table
from project.storage.rows import merge_rows, rows_table, write_rows
from project.storage.traces import Trace, merge_traces, traces_table, write_traces

CELLS = [(attack, source, victim) for attack in "qp" for source in "ba" for victim in "ab"]
IMAGES = 60
POOLS = []  # which must outlive all that was allocated in them


def row(cell, index, **more):
    attack, source, victim = cell
    return {"attack": attack, "source": source, "victim": victim, "index": index, **more}


def found(cell, indices):
    """Return rows of which not all have all columns."""
    more = {"ssim": 0.5} if cell[0] == "p" else {"flow_max": 1.5, "steps": 3}
    return [row(cell, n, **more, **({"mse": n / 7} if n % 5 else {})) for n in indices]


def written(folder, dealt, most=7):
    """Write every cell's rows, dealt to some processes, and return the reader and the columns."""
    writers = []
    for rank, batches in enumerate(dealt):
        writer = PartWriter(folder, f"rows-{rank}", rows_table, most)
        for attack, source, victim in CELLS:
            for batch in batches:
                cell = (attack, source, victim)
                writer.add(cell, found(cell, batch))
            if victim == "b":
                writer.flush()
        writers.append(writer)
    chunks = [chunk for writer in writers for chunk in writer.chunks]
    return PartReader(folder, chunks), {name for writer in writers for name in writer.names}


def batches(size, shuffled=False):
    indices = list(range(0, 3 * IMAGES, 3))
    if shuffled:
        random.Random(0).shuffle(indices)
    return [indices[start : start + size] for start in range(0, IMAGES, size)]


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "rows.parquet"
    write_rows(path, [one for cell in CELLS for one in found(cell, range(0, 3 * IMAGES, 3))])
    return path.read_bytes()


@pytest.mark.parametrize("ranks", [1, 2, 4])
@pytest.mark.parametrize(("size", "shuffled"), [(1, False), (8, False), (8, True), (60, False)])
@pytest.mark.parametrize("at_once", [1, 2**23])
def test_any_dealing_gives_the_bytes_of_all_rows_at_once(
    tmp_path, expected, monkeypatch, ranks, size, shuffled, at_once
):
    monkeypatch.setattr("project.storage.parts._AT_ONCE", at_once)
    dealt = [batches(size, shuffled)[rank::ranks] for rank in range(ranks)]
    reader, names = written(tmp_path, dealt)
    merge_rows(tmp_path / "rows.parquet", reader, names)
    assert (tmp_path / "rows.parquet").read_bytes() == expected


def test_row_groups_are_of_one_size_whatever_the_pieces(tmp_path):
    schema = pa.schema([("index", pa.int64()), ("name", pa.string())])
    whole = pa.table({"index": range(1000), "name": map(str, range(1000))}, schema=schema)
    contents = set()
    for size in (1, 99, 100, 101, 1000):
        pieces = (whole.slice(start, size) for start in range(0, 1000, size))
        write_table(tmp_path / "t", schema, pieces, row_group=100)
        contents.add((tmp_path / "t").read_bytes())
    assert len(contents) == 1
    told = pq.ParquetFile(tmp_path / "t").metadata
    assert {told.row_group(n).num_rows for n in range(told.num_row_groups)} == {100}
    assert pq.read_table(tmp_path / "t").equals(whole)


def test_pages_too_are_of_one_size_whatever_the_pieces(tmp_path):
    count, draw = 2**15, np.random.default_rng(0)
    counts = pa.array(list(draw.integers(0, 2**60, (count, 21))), pa.list_(pa.int64()))
    whole = pa.table({"counts": counts})  # several pages in each row group
    contents = set()
    for size in (777, 5000, count):
        pieces = (whole.slice(start, size) for start in range(0, count, size))
        write_table(tmp_path / "t", whole.schema, pieces, row_group=2**14)
        contents.add((tmp_path / "t").read_bytes())
    assert len(contents) == 1


def test_only_columns_that_are_wanted_are_read(tmp_path):
    reader, _ = written(tmp_path, [batches(8)])
    assert reader.keys == sorted(CELLS)
    for table in reader.rows(CELLS[0], ["index", "steps"]):
        assert table.column_names == ["index", "steps"]


def test_an_image_that_is_there_twice_is_refused(tmp_path):
    dealt = [batches(8), [[3]]]
    reader, names = written(tmp_path, dealt)
    with pytest.raises(ValueError, match=r"got two for \('p', 'a', 'a', 3\)"):
        merge_rows(tmp_path / "rows.parquet", reader, names)
    assert not (tmp_path / "rows.parquet").exists()


def test_traces_too_are_those_that_were_written_at_once(tmp_path, monkeypatch):
    monkeypatch.setattr("project.storage.traces._ROW_GROUP", 10)
    traces = [
        Trace(attack, "a", n, {"loss": np.arange(n % 4, dtype=np.float32)} | more)
        for attack in "qp"
        for n in range(40)
        for more in [{"radius": np.array([n, np.nan], np.float32)} if n % 3 else {}]
    ]
    write_traces(tmp_path / "expected", traces)
    random.Random(0).shuffle(traces)
    writers = [PartWriter(tmp_path, f"traces-{rank}", traces_table, 5) for rank in range(3)]
    for place, trace in enumerate(traces):
        writers[place % 3].add((trace.attack, trace.source), [trace])
    for writer in writers:
        writer.flush()
    chunks = [chunk for writer in writers for chunk in writer.chunks]
    names = {name for writer in writers for name in writer.names}
    merge_traces(tmp_path / "merged", PartReader(tmp_path, chunks), names)
    assert (tmp_path / "merged").read_bytes() == (tmp_path / "expected").read_bytes()
    assert pq.read_table(tmp_path / "merged").num_rows > 100


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    writer = PartWriter(tmp_path / "file", "rows-0", rows_table, 1)
    with pytest.raises(WriteError, match=r"could not write .*file: .*or write elsewhere"):
        writer.add(CELLS[0], found(CELLS[0], [0]))


def test_a_row_without_its_key_or_a_number_is_refused_when_it_is_written(tmp_path):
    writer = PartWriter(tmp_path, "rows-0", rows_table, 1)
    with pytest.raises(ValueError, match="without victim, index"):
        writer.add(CELLS[0], [{"attack": "pgd", "source": "a"}])
    with pytest.raises(TypeError, match="column 'note' must hold numbers, got 'text'"):
        writer.add(CELLS[0], [row(CELLS[0], 0, note="text")])


def merging_peak(folder, images):
    """Return the most bytes that merging one cell held, of Python's and of Arrow's."""
    writer = PartWriter(folder, f"rows-{images}", rows_table, 1024)
    for start in range(0, images, 512):
        rows = found(CELLS[0], range(start, start + 512))
        writer.add(CELLS[0], [one | {f"c{k}": float(k) for k in range(20)} for one in rows])
    writer.flush()
    default = pa.default_memory_pool()
    POOLS.append(pa.proxy_memory_pool(default))
    pa.set_memory_pool(POOLS[-1])
    tracemalloc.start()
    try:
        merge_rows(folder / "rows", PartReader(folder, writer.chunks), writer.names)
        return POOLS[-1].max_memory() + tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
        pa.set_memory_pool(default)


def test_merging_needs_no_more_memory_for_more_rows(tmp_path, monkeypatch):
    monkeypatch.setattr("project.storage.parts._AT_ONCE", 2**19)
    monkeypatch.setattr("project.storage.rows._ROW_GROUP", 2**12)
    fewer, more = merging_peak(tmp_path, 10_240), merging_peak(tmp_path, 40_960)
    assert more < fewer + 2**20

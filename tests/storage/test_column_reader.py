"""Parquet files column by column: any stretch, in any order, and nothing of a damaged file."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from project.storage import column_reader
from project.storage.checksums import listing
from project.storage.column_reader import ColumnReader, read_through
from project.storage.seal import DamagedError
from tests.storage.damage import flipped

ROWS = 1000


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return pa.table(
        {
            "word": [f"w{k // 150}" for k in range(ROWS)],
            "number": rng.random(ROWS),
            "half": pa.array(rng.random(ROWS), mask=np.arange(ROWS) % 2 == 1),
            "list": [[k, k + 1] for k in range(ROWS)],
            "nothing": pa.nulls(ROWS, pa.int64()),
        }
    )


@pytest.fixture(params=[7, 256, ROWS])
def path(table, tmp_path, request, monkeypatch):
    monkeypatch.setattr(column_reader, "_ROWS", 64)
    monkeypatch.setattr(column_reader, "_ROWS_OF_LISTS", 10)
    path = tmp_path / "table.parquet"
    pq.write_table(table, path, row_group_size=request.param, write_page_checksum=True)
    return path


def test_any_stretch_is_that_of_the_table_in_whatever_order_they_are_asked_for(table, path):
    reader, rng = ColumnReader.open(path), np.random.default_rng(1)
    assert reader.rows == ROWS
    choices = [["number"], ["list", "half"], ["half", "number"], ["nothing"], ["word"], ["list"]]
    for _ in range(60):
        start, stop = sorted(rng.integers(0, ROWS + 1, 2).tolist())
        names = choices[rng.integers(len(choices))]
        assert reader.table(names, start, stop) == table.select(names).slice(start, stop - start)


def test_stretches_are_where_words_change_and_go_on_over_batches(table, path):
    reader = ColumnReader.open(path, ["word"])
    expected = {(f"w{k}",): [(150 * k, min(150 * (k + 1), ROWS))] for k in range(7)}
    assert reader.stretches(["word"]) == expected
    assert ColumnReader.open(path).stretches(["word"]) == expected


def test_a_word_that_comes_again_has_two_stretches(tmp_path):
    pq.write_table(pa.table({"word": [*"aab", *"ba"]}), tmp_path / "t", row_group_size=2)
    assert ColumnReader.open(tmp_path / "t").stretches(["word"]) == {
        ("a",): [(0, 2), (4, 5)],
        ("b",): [(2, 4)],
    }


def test_a_row_without_a_word_is_refused(tmp_path):
    pq.write_table(pa.table({"word": ["a", None]}), tmp_path / "t")
    with pytest.raises(ValueError, match="a row has no word"):
        ColumnReader.open(tmp_path / "t", ["word"]).stretches(["word"])


@pytest.mark.parametrize("statistics", [True, False])
def test_rows_without_a_value_are_counted_with_and_without_statistics(table, tmp_path, statistics):
    pq.write_table(table, tmp_path / "t", row_group_size=100, write_statistics=statistics)
    reader = ColumnReader.open(tmp_path / "t")
    found = {name: reader.nulls(name) for name in table.column_names}
    assert found == {"word": 0, "number": 0, "half": ROWS // 2, "list": 0, "nothing": ROWS}


def test_every_flipped_bit_of_a_listed_file_is_noticed_before_anything_is_read(path, tmp_path):
    own = path.rename(tmp_path / "rows.parquet")  # one of a run's own files, which are listed
    with listing(tmp_path, [own.name]):
        own.write_bytes(own.read_bytes())
    whole = own.read_bytes()
    ColumnReader.open(own)
    for bit in np.random.default_rng(2).integers(0, 8 * len(whole), 50).tolist():
        own.write_bytes(flipped(whole, bit))
        with pytest.raises(DamagedError, match=r"rows\.parquet is damaged"):
            ColumnReader.open(own)


def test_a_damaged_page_of_a_file_that_is_not_listed_is_noticed_where_it_is_read(path):
    whole = path.read_bytes()
    column = pq.read_metadata(path).row_group(0).column(1)
    place = column.dictionary_page_offset or column.data_page_offset
    end = place + column.total_compressed_size
    for byte in (end - 1, end - 2, end - 3):  # of the last page, behind its head
        path.write_bytes(flipped(whole, 8 * byte + 3))
        reader = ColumnReader.open(path)
        with pytest.raises(DamagedError, match="is damaged"):
            reader.table(["number"], 0, 5)
        with pytest.raises(DamagedError, match="is damaged"):
            read_through(path)
    path.write_bytes(whole)
    read_through(path)


@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_a_file_that_is_cut_off_is_damaged(path, share):
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    with pytest.raises(DamagedError, match="is damaged"):
        ColumnReader.open(path)


def test_a_folder_in_a_files_place_is_told(tmp_path):
    (tmp_path / "rows.parquet").mkdir()
    with pytest.raises(DamagedError, match="must be a file, got a folder"):
        ColumnReader.open(tmp_path / "rows.parquet")

"""A run's rows by group and column: the same numbers however the file was written."""

import math
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from project.core.errors import InputError
from project.report.cells import Cells
from project.report.run_rows import RunRows
from project.statistics.miou import COLUMNS as COUNTS
from project.storage.rows import read_rows, write_rows
from tests.report.conftest import classification_rows
from tests.report.rows import listed, results_of
from tests.report.segmented import counted, drawn_cells

KEYS = [(a, s, v) for a in ("pgd", "ssta") for s in "ab" for v in "abc"]


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    found = [row for key in KEYS for row in classification_rows(rng, 9, *key)]
    found[3] |= {"fooled": None, "steps": None, "ssim": None}
    found[4] |= {"ssim": math.nan, "psnr": -math.inf}
    return found


def of(rows, key):
    own = [row for row in rows if (row["attack"], row["source"], row["victim"]) == key]
    return sorted(own, key=lambda row: row["index"])


def number(value):
    return math.nan if value is None else float(value)


NUMBERS = (
    "clean_correct",
    "fooled",
    "steps",
    "target",
    "ssim",
    "psnr",
    "flow_max",
    "judged_pixels",
)


@pytest.mark.parametrize("row_group_size", [2, 10, 1000])
@pytest.mark.parametrize("shuffled", [False, True])
def test_columns_are_those_of_the_rows_by_index_with_nan_for_nothing(
    rows, row_group_size, shuffled
):
    mixed = random.Random(0).sample(rows, len(rows)) if shuffled else rows
    results = results_of(mixed, row_group_size=row_group_size)
    assert sorted(results.groups) == KEYS
    for key in KEYS:
        found, expected = results.columns(NUMBERS, key), of(rows, key)
        assert found.index.tolist() == list(range(9))
        assert results.count(key) == len(found) == 9
        for name in NUMBERS:
            wanted = [number(row.get(name)) for row in expected]
            np.testing.assert_array_equal(found[name], wanted)


def test_a_group_that_is_not_there_has_no_rows(rows):
    found = results_of(rows).columns(["ssim"], ("pgd", "a", "z"))
    assert len(found) == len(found["ssim"]) == 0
    assert results_of(rows).count(("pgd", "a", "z")) == 0


def test_values_of_chosen_images_stand_in_their_order_and_none_where_there_is_no_row(rows):
    results, key = results_of(rows), ("pgd", "a", "a")
    found = results.values(["name", "fooled", "ssim"], key, np.array([5, 77, 3, 4, -1]))
    assert found["index"] == [5, None, 3, 4, None]
    assert found["name"] == ["photo_005", None, "photo_003", "photo_004", None]
    assert found["fooled"][2] is None
    assert found["ssim"][2] is None
    assert math.isnan(found["ssim"][3])
    assert list(results.rows(["name"], key, np.array([5, 77]))) == [5]


def test_rows_come_back_as_they_were_written(rows, tmp_path):
    write_rows(tmp_path / "rows.parquet", rows[5:])
    results = RunRows.read(tmp_path / "rows.parquet")
    expected = read_rows(tmp_path / "rows.parquet").drop(list(COUNTS)).to_pylist()
    assert listed(results) == expected
    assert results.float_columns == [
        *("ssim", "psnr", "l2", "linf", "mse", "flow_max", "salient_area")
    ]
    assert results.indices.tolist() == list(range(9))


def test_no_row_is_lost_where_images_differ_between_groups(rows):
    results = results_of([row for row in rows if (row["index"] % 2 == 0) == (row["victim"] == "a")])
    assert results.indices.tolist() == list(range(9))
    assert results.columns((), ("pgd", "a", "a")).index.tolist() == [0, 2, 4, 6, 8]


ODD = {
    "without a key": lambda table: table.drop(["victim"]),
    "of no victim": lambda table: table.set_column(
        table.column_names.index("victim"), "victim", pa.nulls(len(table), pa.string())
    ),
    "without an index": lambda table: table.set_column(
        0, "index", pa.nulls(len(table), pa.int64())
    ),
    "with words for numbers": lambda table: table.append_column("ours", [["x"] * len(table)]),
    "with numbers for words": lambda table: table.set_column(
        table.column_names.index("attack"), "attack", pa.array(range(len(table)))
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_rows_that_are_none_are_told_in_one_line(rows, tmp_path, kind):
    path = tmp_path / "rows.parquet"
    write_rows(path, rows)
    pq.write_table(ODD[kind](pq.read_table(path)), path)
    with pytest.raises(InputError, match=r"rows\.parquet must be as Mirage wrote it") as error:
        RunRows.read(path)
    assert "\n" not in str(error.value)


def test_cells_are_read_attack_by_attack_and_those_of_two_are_kept(monkeypatch):
    expected = drawn_cells(images=5, attacks=("pgd", "segpgd", "transegpgd"))
    rows = [
        dict(zip(("attack", "source", "victim"), key, strict=True))
        | {"index": place, "fooled_pixels": int(cell.fooled[place])}
        | {"clean_correct_pixels": int(cell.judged[place])}
        | counted(cell, place)
        for key, cell in expected.items()
        for place in range(5)
    ]
    results = results_of(rows, row_group_size=7)
    read = []
    monkeypatch.setattr(
        RunRows,
        "cell",
        lambda self, key, own=RunRows.cell: read.append(key) or own(self, key),
    )
    cells = Cells(results)
    assert list(cells) == list(expected)
    for key, cell in expected.items():
        for name in ("index", "adversarial", "clean", "fooled", "judged"):
            np.testing.assert_array_equal(getattr(cells[key], name), getattr(cell, name))
    assert read == list(expected)
    assert cells["segpgd", "a", "b"] is cells["segpgd", "a", "b"]
    assert len(read) == len(expected)
    assert cells["pgd", "a", "b"].index.tolist() == list(range(5))
    assert len(read) == len(expected) + 4


def test_rows_without_counts_have_no_cells(rows):
    assert len(Cells(results_of(rows))) == len(Cells(results_of([]))) == 0

import math

import numpy as np
import pytest

from project.storage.rows import (
    COLUMNS,
    Measure,
    read_measures,
    read_rows,
    write_measures,
    write_rows,
)


def row(index, attack="pgd", source="a", victim="b", **more):
    return {"index": index, "attack": attack, "source": source, "victim": victim, **more}


def test_rows_come_back_as_they_were_written(tmp_path):
    written = row(3, name="x.png", task="classification", target=7, correct=False, ssim=0.25)
    write_rows(tmp_path / "rows.parquet", [written])
    [back] = read_rows(tmp_path / "rows.parquet").to_pylist()
    assert {key: value for key, value in back.items() if value is not None} == written


def test_rows_are_sorted_and_equal_rows_give_equal_bytes(tmp_path):
    rows = [
        row(index, attack, source, victim, lpips_squeeze=0.1 * index, flow_max=1)
        for index in (2, 0, 1)
        for attack in ("ssta", "pgd")
        for source in ("b", "a")
        for victim in ("a", "b")
    ]
    write_rows(tmp_path / "one.parquet", rows)
    write_rows(tmp_path / "two.parquet", rows[::-1])
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()
    table = read_rows(tmp_path / "one.parquet")
    keys = [tuple(r[k] for k in ("attack", "source", "victim", "index")) for r in table.to_pylist()]
    assert keys == sorted(keys)
    assert len(keys) == 24


def test_columns_have_a_stable_order_and_type(tmp_path):
    rows = [row(0, zeta=1.0, mse=2, ssim=0.5), row(1, alpha=True)]
    write_rows(tmp_path / "rows.parquet", rows)
    table = read_rows(tmp_path / "rows.parquet")
    assert table.column_names == [*COLUMNS, "ssim", "mse", "alpha", "zeta"]
    assert all(str(table.schema.field(name).type) == "double" for name in ("mse", "alpha", "zeta"))
    assert table["alpha"].to_pylist() == [None, 1.0]


def test_counts_by_class_are_lists_of_whole_numbers(tmp_path):
    rows = [row(0, correct_by_class=np.array([5, 0, 2**40])), row(1, correct_by_class=[1, 2, 3])]
    write_rows(tmp_path / "rows.parquet", rows)
    table = read_rows(tmp_path / "rows.parquet")
    assert table["correct_by_class"].to_pylist() == [[5, 0, 2**40], [1, 2, 3]]
    assert table["labelled_by_class"].null_count == 2


def test_no_rows_are_a_table_without_rows(tmp_path):
    write_rows(tmp_path / "rows.parquet", [])
    assert read_rows(tmp_path / "rows.parquet").num_rows == 0


def test_an_infinite_value_survives(tmp_path):
    write_rows(tmp_path / "rows.parquet", [row(0, psnr=math.inf)])
    assert read_rows(tmp_path / "rows.parquet")["psnr"].to_pylist() == [math.inf]


def test_a_row_without_its_key_or_twice_or_not_a_number_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    with pytest.raises(ValueError, match="without victim, index"):
        write_rows(path, [{"attack": "pgd", "source": "a"}])
    with pytest.raises(ValueError, match="got two for \\('pgd', 'a', 'b', 4\\)"):
        write_rows(path, [row(4), row(5), row(4)])
    with pytest.raises(TypeError, match="column 'note' must hold numbers, got 'text'"):
        write_rows(path, [row(4, note="text")])
    assert list(tmp_path.iterdir()) == []


def test_measures_come_back_digit_by_digit(tmp_path):
    measures = [
        Measure("pgd", "a", "b, the second", "asr", 1 / 3, 0.1, 0.7, 2, 6),
        Measure("", "", "b", "clean_miou", 0.1 + 0.2),
    ]
    write_measures(tmp_path / "metrics.csv", measures)
    assert read_measures(tmp_path / "metrics.csv") == measures
    header = (tmp_path / "metrics.csv").read_text().splitlines()[0]
    assert header == "attack,source,victim,metric,value,low,high,hits,total"


def test_a_measure_of_nothing_comes_back_as_nan(tmp_path):
    write_measures(
        tmp_path / "metrics.csv",
        [Measure("pgd", "a", "b", "asr", math.nan, math.nan, math.nan, 0, 0)],
    )
    [measure] = read_measures(tmp_path / "metrics.csv")
    assert math.isnan(measure.value)
    assert (measure.hits, measure.total) == (0, 0)

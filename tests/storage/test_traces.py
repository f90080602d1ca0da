"""Traces come back as they went in, each image's once."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from project.storage.traces import Trace, read_traces, write_traces


def trace(index, attack="pgd", source="a", steps=4, **more):
    values = {"objective": np.linspace(index, index + 1, steps, dtype=np.float32), **more}
    return Trace(attack, source, index, values)


def test_what_comes_back_is_what_went_in_sorted_and_without_empty_traces(tmp_path):
    half = np.array([np.nan, np.nan, 0.25, 0.5], dtype=np.float32)
    written = [
        trace(7, "transegpgd", steps=4, transferable=half),
        trace(3, steps=2),
        trace(11, steps=2),
        trace(3, source="b", steps=6, nothing=np.full(6, np.nan, np.float32)),
    ]
    write_traces(tmp_path / "traces.parquet", written)
    found = read_traces(tmp_path / "traces.parquet")
    expected = [written[1], written[2], written[3], written[0]]
    assert [one.key for one in found] == [one.key for one in expected]
    for one, other in zip(found, expected, strict=True):
        told = {n: v for n, v in other.values.items() if not np.isnan(v).all()}
        assert one.values.keys() == told.keys()
        for name, values in told.items():
            np.testing.assert_array_equal(one.values[name], values)


def test_a_step_without_anything_to_tell_is_null_in_the_file(tmp_path):
    half = np.array([np.nan, 0.5], dtype=np.float32)
    write_traces(tmp_path / "t", [trace(0, steps=2, transferable=half), trace(1, steps=2)])
    table = pq.read_table(tmp_path / "t")
    assert table.column_names == [
        *("attack", "source", "index", "step", "objective", "transferable")
    ]
    assert table["step"].to_pylist() == [1, 2, 1, 2]
    assert table["transferable"].to_pylist() == [None, 0.5, None, None]


def test_equal_traces_give_equal_bytes_in_any_order(tmp_path):
    traces = [trace(index, attack) for index in (2, 0, 1) for attack in ("b", "a")]
    write_traces(tmp_path / "one", traces)
    write_traces(tmp_path / "two", traces[::-1])
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_a_trace_that_ends_before_others_of_its_image_is_filled_up(tmp_path):
    short = np.array([0.5], dtype=np.float32)
    write_traces(tmp_path / "t", [trace(0, steps=3, radius=short), trace(1, steps=2)])
    assert pq.read_table(tmp_path / "t")["radius"].to_pylist() == [0.5, *[None] * 4]


def test_an_image_that_is_there_twice_is_refused(tmp_path):
    with pytest.raises(ValueError, match="got two for \\('pgd', 'a', 4\\)"):
        write_traces(tmp_path / "t", [trace(4), trace(5), trace(4)])
    assert not (tmp_path / "t").exists()


def test_no_traces_are_a_file_without_rows(tmp_path):
    write_traces(tmp_path / "t", [])
    assert read_traces(tmp_path / "t") == []

"""Parquet files: columns, names, row groups, and what is refused."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from project.core.errors import InputError
from project.data import DataError, ShardData
from project.data.shards.parquet import ParquetShards, ShardColumns
from tests.data.files import photo
from tests.data.shards.made import COUNT, opened, parquets, png, table

COLUMNS = ShardColumns("image", "label", False)


def refused(data) -> str:
    with pytest.raises(InputError) as caught:
        data.setup("test")
    return str(caught.value)


def test_a_file_that_is_cut_off_or_no_parquet_is_named(tmp_path):
    path = parquets(tmp_path) / "set-00001-of-00003.parquet"
    whole = path.read_bytes()
    for content in (whole[:-9], whole[: len(whole) // 2], b"PAR1", b"", b"x" * 100):
        path.write_bytes(content)
        text = refused(opened(tmp_path))
        assert "set-00001-of-00003.parquet: must be a whole Parquet file" in text
        assert "\n" not in text


def test_damaged_pictures_are_told_with_their_row(tmp_path):
    path = parquets(tmp_path) / "set-00000-of-00003.parquet"
    pq.write_table(table(range(4)), path, row_group_size=3, compression="none")
    whole = path.read_bytes()
    place = whole.index(png(photo(seed=1))) + 200
    path.write_bytes(whole[:place] + b"\x00\xff\x00" + whole[place + 3 :])
    with pytest.raises(
        DataError, match=r"1 of 11.*\n  set-00000.*parquet: row 1 \(01\): cannot be"
    ):
        opened(tmp_path).setup("test")


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"img": [b"x"], "label": [0]}, "must have the column 'image', got img, label.*data.image"),
        ({"image": [b"x"], "class": [0]}, "must have the column 'label', got image, class"),
        ({"image": [b"x"], "label": ["cat"]}, "must hold classes as integers, got string"),
        ({"image": ["x.png"], "label": [0]}, "must hold encoded pictures.*got string"),
        ({"image": [{"url": "x"}], "label": [0]}, "must hold encoded pictures.*got struct"),
    ],
)
def test_other_columns_are_told_with_those_that_there_are(tmp_path, columns, told):
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=f"a.parquet: the column.*|a.parquet: {told}"):
        opened(tmp_path).setup("test")
    with pytest.raises(InputError, match=told):
        opened(tmp_path).setup("test")


def test_rows_without_picture_or_class_are_told(tmp_path):
    rows = [{"bytes": png(photo()), "path": "a.png"}, {"bytes": None, "path": "b.png"}, None]
    pq.write_table(pa.table({"image": rows, "label": [None, 1, 1]}), tmp_path / "a.parquet")
    text = refused(opened(tmp_path, on_error="raise"))
    assert "row 0 (a_000000): has no class" in text
    assert "row 1 (a_000001): has no picture" in text
    assert "row 2 (a_000002): has no picture" in text


def test_names_are_those_of_files_where_all_are_told_and_differ_else_of_rows(tmp_path):
    parquets(tmp_path)
    assert [*ShardData(str(tmp_path)).samples.names] == [f"{k:02d}" for k in range(COUNT)]
    pq.write_table(table([0, 1]), tmp_path / "set-00003-of-00003.parquet")
    names = ShardData(str(tmp_path)).samples.names
    assert names[0] == "set-00000-of-00003_000000"
    assert names[-1] == "set-00003-of-00003_000001"


def test_bytes_without_a_struct_and_large_ones_are_read(tmp_path):
    for kind in (pa.binary(), pa.large_binary()):
        pictures = pa.array([png(photo(seed=k)) for k in range(3)], kind)
        pq.write_table(pa.table({"image": pictures, "label": [0, 1, 2]}), tmp_path / "a.parquet")
        data = opened(tmp_path)
        data.setup("test")
        assert (data.samples.read(2)[0] == photo(seed=2)).all()


def test_neighbours_share_one_read_of_their_row_group_and_two_are_kept(tmp_path, monkeypatch):
    shards = sorted(path.name for path in parquets(tmp_path).iterdir())
    found = ParquetShards(tmp_path, shards, COLUMNS)
    reads = []
    read = found._read
    monkeypatch.setattr(found, "_read", lambda *a: reads.append(a[2]) or read(*a))
    for index in range(COUNT):
        assert found.encoded(index) == (png(photo(seed=index)),)
    assert reads == [0, 1, 2, 3, 4]  # of 3, 1, 3, 1, 3 rows
    found.encoded(0)
    found.encoded(10)
    assert reads == [0, 1, 2, 3, 4, 0]


def test_options_of_tars_are_refused(tmp_path):
    parquets(tmp_path)
    assert "are for tars" in refused(opened(tmp_path, keys_per_shard=True))
    assert "are for tars" in refused(opened(tmp_path, label_key="x"))

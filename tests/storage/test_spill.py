"""Bytes that wait on disk come back as they went, and leave nothing behind."""

import pytest

from project.storage.files import WriteError
from project.storage.spill import Spill


def test_bytes_come_back_in_any_order_and_the_latest_count(tmp_path):
    spill = Spill(tmp_path / "scratch")
    wanted = {key: bytes([key]) * (key % 7) for key in range(100)}
    for key, content in wanted.items():
        spill[key] = b"older"
        spill[key] = content
        assert spill[key // 2] == wanted[key // 2]
    assert {key: spill[key] for key in reversed(range(100))} == wanted
    with pytest.raises(KeyError):
        spill[100]


def test_nothing_is_seen_of_it_in_its_folder(tmp_path):
    Spill(tmp_path / "none")
    spill = Spill(tmp_path / "scratch")
    spill[0] = b"bits"
    assert [path.name for path in tmp_path.rglob("*")] == ["scratch"]


def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match=r"could not write .*file: .*or write elsewhere"):
        Spill(tmp_path / "file")[0] = b"bits"

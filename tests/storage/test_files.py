"""A file is the old one or the new one, and nothing is left beside it."""

import errno
import os
from pathlib import Path

import pytest

from project.core.errors import InputError
from project.storage.files import WriteError, replace_file


@pytest.fixture
def written(tmp_path) -> Path:
    path = tmp_path / "rows.parquet"
    replace_file(path, b"old")
    return path


def test_content_takes_the_place_of_the_old_one_and_folders_are_made(tmp_path, written):
    replace_file(written, b"new")
    replace_file(tmp_path / "a/b/deep", b"")
    assert written.read_bytes() == b"new"
    assert (tmp_path / "a/b/deep").read_bytes() == b""
    assert written.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("step", ["fdopen", "fsync", "chmod", "replace"])
def test_a_full_disk_leaves_the_old_file_and_no_litter(tmp_path, written, monkeypatch, step):
    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, step, full)
    with pytest.raises(WriteError, match=r"could not write .*rows.parquet: No space left.*make"):
        replace_file(written, b"new")
    assert written.read_bytes() == b"old"
    assert [file.name for file in tmp_path.iterdir()] == ["rows.parquet"]


def test_a_folder_that_cannot_be_made_is_told_like_any_fault_of_the_input(tmp_path, written):
    with pytest.raises(InputError, match=r"could not write .*below: File exists"):
        replace_file(written / "below", b"")


@pytest.mark.parametrize(
    ("code", "remedy"),
    [
        *((code, "make room there") for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)),
        *((code, "make the folder writable") for code in (errno.EROFS, errno.EACCES)),
    ],
)
def test_the_remedy_is_that_of_the_error(written, monkeypatch, code, remedy):
    def failing(*_):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "replace", failing)
    with pytest.raises(WriteError, match=rf"is kept: {remedy}, or write elsewhere"):
        replace_file(written, b"new")


def test_the_content_is_on_the_disk_before_its_name_is(written, monkeypatch):
    steps = []
    for name in ("fsync", "replace"):
        work = getattr(os, name)
        monkeypatch.setattr(os, name, lambda *a, n=name, w=work: (steps.append(n), w(*a)))
    replace_file(written, b"new")
    assert steps == ["fsync", "replace", "fsync"]  # of the file, and of the folder with its name

import os
from pathlib import Path

import pytest

from project.core.errors import InputError
from project.core.folders import FileError, files_below, is_clutter, read_regular, subfolders


def write(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def test_files_are_listed_at_any_depth_whatever_case_their_suffix_has(tmp_path):
    write(tmp_path / "b.png", tmp_path / "a" / "c" / "d.PNG", tmp_path / "e.txt")
    assert files_below(tmp_path, (".png",)) == ["a/c/d.PNG", "b.png"]
    assert subfolders(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "name",
    [".x", "._a.jpg", ".DS_Store", "__MACOSX", "Thumbs.db", "@eaDir", "lost+found", "DESKTOP.INI"],
)
def test_hidden_and_system_names_are_clutter(name):
    assert is_clutter(name)


@pytest.mark.parametrize("name", ["a.jpg", "_a", "n01440764", "0", "lost", "tmp"])
def test_other_names_are_none(name):
    assert not is_clutter(name)


def test_links_are_followed_and_loops_are_entered_once(tmp_path):
    write(tmp_path / "real" / "a.png", tmp_path / "data" / "b.png")
    (tmp_path / "data" / "link").symlink_to(tmp_path / "real")
    (tmp_path / "real" / "up").symlink_to(tmp_path / "data")
    (tmp_path / "data" / "self").symlink_to("self")
    assert files_below(tmp_path / "data", (".png",)) == ["b.png", "link/a.png"]


def test_two_links_to_one_folder_are_two_folders(tmp_path):
    write(tmp_path / "real" / "a.png")
    for name in ("x", "y"):
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).symlink_to(tmp_path / "real")
    assert files_below(tmp_path / "data", (".png",)) == ["x/a.png", "y/a.png"]


def test_a_net_of_links_is_refused_in_time(tmp_path):
    folders = [tmp_path / f"{number}" for number in range(12)]
    for folder in folders:
        folder.mkdir()
    for folder in folders:
        for other in folders:
            (folder / f"to_{other.name}").symlink_to(other)
    with pytest.raises(InputError, match=r"by more than 32 ways. Remove the links"):
        files_below(tmp_path, (".png",))


def test_a_link_that_leads_nowhere_is_listed_so_that_it_can_be_missed(tmp_path):
    (tmp_path / "a.png").symlink_to("nowhere.png")
    assert files_below(tmp_path, (".png",)) == ["a.png"]


def test_names_that_are_no_text_are_refused(tmp_path):
    (Path(os.fsdecode(os.fsencode(tmp_path) + b"/a\xff.png"))).write_bytes(b"x")
    with pytest.raises(InputError, match=r"valid UTF-8, got b'a\\xff.png'"):
        files_below(tmp_path, (".png",))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may list everything")
def test_a_folder_that_cannot_be_listed_is_named(tmp_path):
    (tmp_path / "a").mkdir(mode=0)
    with pytest.raises(InputError, match="can be listed, got: Permission denied"):
        files_below(tmp_path, (".png",))


def test_only_regular_files_are_read(tmp_path):
    write(tmp_path / "file")
    assert read_regular(tmp_path / "file") == b"x"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").touch()
    (tmp_path / "device").symlink_to("/dev/zero")
    for name, reason in (
        ("pipe", "regular file, got a pipe"),
        ("device", "regular file, got a pipe, socket or device"),
        (".", "must be a file, got a folder"),
        ("none", "is missing"),
        ("empty", "is empty"),
        ("a\0b", "null byte"),
        ("x" * 300, "cannot be read"),
    ):
        with pytest.raises(FileError, match=reason):
            read_regular(tmp_path / name)


def test_a_file_beyond_two_gigabytes_is_not_read(tmp_path):
    with (tmp_path / "sparse").open("wb") as stream:
        stream.truncate(2**31 + 1)
    with pytest.raises(FileError, match="too large: 2147483649 bytes"):
        read_regular(tmp_path / "sparse")

"""Patterns of shards: what they stand for, as a shell says it, and what they must not be."""

import subprocess

import numpy as np
import pytest

from project.core.errors import InputError
from project.data.decoding import Reading
from project.data.shards.names import expanded, find_shards
from project.data.shards.texts import Texts

READING = Reading()


def touched(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")
    return root


@pytest.mark.parametrize(
    "pattern",
    [
        "a-{000000..000011}.tar",
        "a-{8..12}.tar",
        "a-{08..12}.tar",
        "a-{8..012}.tar",
        "{x,y}/b-{1..3}.tar",
        "{train,val}-{00..02}-of-{3,4}.parquet",
        "{a,}b.tar",
        "plain.tar",
    ],
)
def test_braces_stand_for_what_a_shell_makes_of_them(pattern):
    told = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {pattern}"], check=True, capture_output=True, text=True
    )
    assert expanded(pattern) == told.stdout.splitlines()


@pytest.mark.parametrize("pattern", ["{1..}", "{3..1}", "{a}", "{}", "{a..c}", "{-1..3}"])
def test_braces_that_hold_neither_range_nor_list_are_refused(pattern):
    with pytest.raises(InputError, match="braces must hold a range"):
        expanded(pattern)


@pytest.mark.parametrize("pattern", ["a{1..3", "a1..3}", "{a,{b,c}}"])
def test_braces_must_be_closed_and_flat(pattern):
    with pytest.raises(InputError, match="each brace must be closed"):
        expanded(pattern)


@pytest.mark.parametrize("pattern", ["{0..99999999}", "{0..9999}{0..9999}"])
def test_patterns_of_more_shards_than_there_can_be_are_refused(pattern):
    with pytest.raises(InputError, match=r"names .*more than 1000000"):
        expanded(pattern)


def test_folders_stars_and_braces_find_shards(tmp_path):
    touched(tmp_path, "b-0.tar", "a/x-1.tar", "a/x-0.tar", "a/._x-0.tar", "a/note.txt")
    assert find_shards(tmp_path, ["."], READING) == ["a/x-0.tar", "a/x-1.tar", "b-0.tar"]
    assert find_shards(tmp_path, ["a"], READING) == ["a/x-0.tar", "a/x-1.tar"]
    assert find_shards(tmp_path, ["a/x-*.tar", "b-?.tar"], READING) == [
        "a/x-0.tar",
        "a/x-1.tar",
        "b-0.tar",
    ]
    assert find_shards(tmp_path, ["a/x-{1..1}.tar", "a/x-1.tar"], READING) == ["a/x-1.tar"]


@pytest.mark.parametrize(
    ("pattern", "told"),
    [
        ("c-{000..002}.tar", "3 shards, of which 3 are not in .*: c-000.tar, c-001.tar, c-002.tar"),
        ("b-{0..9}.tar", "10 shards, of which 9 are not in .*: b-1.tar, b-2.tar, b-3.tar and 6"),
        ("nothing-*.tar", r"names what is not in .*: nothing-\*.tar"),
        ("c.tar", "names what is not in .*: c.tar"),
        ("empty", "names what is not in .*: empty"),
        ("*/x.tar", "must stand in the name of a shard"),
        ("../b-0.tar", "must lie inside of the root"),
        ("note.txt", "must be called .tar or .parquet, got note.txt"),
        ("b.tgz", "must be tars that are not compressed"),
    ],
)
def test_a_pattern_that_means_nothing_is_told(tmp_path, pattern, told):
    touched(tmp_path, "b-0.tar", "note.txt", "b.tgz")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=told):
        find_shards(tmp_path, [pattern], READING)


def test_packed_texts_are_a_sequence():
    texts = ["a", "", "éß", "日本", "a/b.c"]
    packed = Texts.of(texts)
    assert [*packed] == [packed[k] for k in range(5)] == texts
    assert packed[-1] == "a/b.c"
    assert [*packed[1:3]] == texts[1:3]
    assert "日本" in packed
    assert [*Texts.chained([packed, Texts.of([]), Texts.of(["z"])])] == [*texts, "z"]
    assert [*Texts.chained([])] == []
    with pytest.raises(IndexError):
        packed[5]


def test_repeated_texts_are_found_where_they_are():
    texts = [str(number) for number in np.random.default_rng(0).permutation(5000)]
    assert Texts.of(texts).repeated() is None
    assert Texts.of([*texts, texts[77]]).repeated() == (77, 5000)
    assert Texts.of([]).repeated() is None

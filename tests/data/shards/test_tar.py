"""Tars: what counts as a sample, what is refused, and the index that is kept."""

import gc
import importlib.util
import io
import json
import shutil
import tarfile
import warnings

import numpy as np
import pytest

from project.core.errors import InputError
from project.data import DataError, ShardData
from project.data.shards.shards import stat_shard
from project.data.shards.tar_index import FOLDER_VARIABLE, tar_index
from project.data.shards.tar_scan import Fields, scan_tar
from tests.data.files import photo
from tests.data.shards.made import COUNT, members, opened, png, tars, write_tar

FIELDS = Fields(("jpg", "png"), ("cls",), False, "label")
PHOTO = png(photo())


def refused(data) -> str:
    with pytest.raises(InputError) as caught:
        data.setup("test")
    return str(caught.value)


def one_tar(root, parts):
    return opened(write_tar(root / "a.tar", parts).parent, verify=False)


def test_a_shard_that_is_cut_off_anywhere_is_named(tmp_path):
    whole = (tars(tmp_path / "s") / "set-001.tar").read_bytes()
    with tarfile.open(tmp_path / "s" / "set-001.tar") as tar:
        last = tar.getmembers()[-1]
    end = last.offset_data + 512  # behind the last member, before the end mark
    path = tmp_path / "s" / "set-001.tar"
    for length in (end, end - 1, last.offset_data, last.offset, last.offset + 100, 5000, 700):
        path.write_bytes(whole[:length])
        assert "set-001.tar: the shard is cut off" in refused(opened(tmp_path / "s"))
    path.write_bytes(b"")
    assert "set-001.tar: must be a tar" in refused(opened(tmp_path / "s"))
    path.write_bytes(whole[:end] + bytes(512))
    opened(tmp_path / "s").setup("test")


def test_damage_in_a_header_and_joined_tars_are_named(tmp_path):
    path = tars(tmp_path) / "set-001.tar"
    whole = path.read_bytes()
    with tarfile.open(path) as tar:
        header = tar.getmembers()[3].offset
    path.write_bytes(whole[: header + 5] + b"\xff" + whole[header + 6 :])
    assert f"set-001.tar: is damaged at byte {header}" in refused(opened(tmp_path))
    path.write_bytes(whole + (tmp_path / "set-000.tar").read_bytes())
    assert "set-001.tar: goes on behind its end mark" in refused(opened(tmp_path))


@pytest.mark.parametrize("mode", ["w:gz", "w:xz"])
def test_compressed_tars_are_refused_by_name_and_by_content(tmp_path, mode):
    with tarfile.open(tmp_path / "a.tar", mode) as tar:
        for name, content in members(0):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    assert "a.tar: must be a tar that is not compressed" in refused(opened(tmp_path))
    (tmp_path / "a.tar").rename(tmp_path / "a.tar.gz")
    assert "tars that are not compressed" in refused(opened(tmp_path, shards="a.tar.gz"))


def test_keys_without_photo_or_class_or_with_two_are_told_with_shard_and_key(tmp_path):
    parts = [("a.jpg", PHOTO), ("a.txt", b""), ("b.cls", b"1"), ("c.jpg", PHOTO), ("c.png", PHOTO)]
    parts += [("c.cls", b"1"), ("d.png", PHOTO), ("d.cls", b"cat"), ("e.png", PHOTO)]
    parts += [("e.cls", b"0"), ("e.cls", b"1"), ("f.png", PHOTO), ("f.cls", b"2"), ("g.txt", b"x")]
    text = refused(one_tar(tmp_path, parts))
    assert text.startswith("5 of 6 samples cannot be used:")
    assert "a.tar: a: has no class (.cls), only .jpg, .txt" in text
    assert "a.tar: b: has no photo (.jpg, .jpeg, .png" in text
    assert "a.tar: c: must have one photo, got .jpg, .png: name one with --data.image" in text
    assert "a.tar: d: a class must be an integer, got 'cat'" in text
    assert "a.tar: e: has two .cls" in text
    data = opened(tmp_path, on_error="skip")
    with pytest.warns(UserWarning, match="skipped 5 of 6"):
        data.setup("test")
    assert [data.samples.name(k) for k in data.samples.indices] == ["f"]


def test_wrong_fields_are_told_once_with_those_that_there_are(tmp_path):
    text = refused(opened(tars(tmp_path), label="json"))
    assert "no key has a photo and a label" in text
    assert "Fields are cls, png, txt: name them with --data.image and --data.label" in text
    text = refused(opened(tmp_path, image="jpg", label="scores.npy"))
    assert "no key has a photo and a label. Fields are cls, png, txt:" in text


def test_a_key_in_two_shards_is_refused_unless_shards_count_for_themselves(tmp_path):
    tars(tmp_path)
    shutil.copy(tmp_path / "set-000.tar", tmp_path / "set-000 (1).tar")
    text = refused(opened(tmp_path))
    assert "'p/00' in set-000 (1).tar and in set-000.tar" in text
    data = opened(tmp_path, keys_per_shard=True)
    data.setup("test")
    assert len(data.samples) == COUNT + 4
    assert data.samples.name(0) == "set-000 (1)/p/00"
    assert data.samples.where(4) == "set-000.tar: p/00"


def test_members_of_a_key_must_lie_side_by_side(tmp_path):
    parts = [*members(0)[:2], *members(1), *members(0)[2:]]
    assert "a.tar: the members of a key must lie side by side" in refused(one_tar(tmp_path, parts))


def test_classes_in_json_are_found_where_they_lie(tmp_path):
    entries = [{"label": 2}, {"meta": {"id": "1"}}, {"label": True}, [1], {"label": 2**70}]
    parts = []
    for number, entry in enumerate(entries):
        parts += [(f"{number}.png", PHOTO), (f"{number}.json", json.dumps(entry).encode())]
    write_tar(tmp_path / "a.tar", [*parts, ("9.png", PHOTO), ("9.json", b"{")])
    index = scan_tar(tmp_path / "a.tar", Fields(("png",), ("json",), False, "label"))
    assert index.labels[0] == 2
    assert index.faults[1] == "its JSON must have the entry 'label', got meta"
    assert index.faults[2] == "a class must be an integer, got True"
    assert "must have the entry 'label', got list" in index.faults[3]
    assert "a class must be an integer" in index.faults[4]
    assert index.faults[5] == "its JSON cannot be read"
    deeper = scan_tar(tmp_path / "a.tar", Fields(("png",), ("json",), False, "meta.id"))
    assert deeper.labels[1] == 1
    assert 1 not in deeper.faults


def test_what_is_no_file_of_a_sample_is_passed(tmp_path):
    path = write_tar(tmp_path / "a.tar", members(0))
    with tarfile.open(path, "a") as tar:
        for name, kind in (("q", tarfile.DIRTYPE), ("q/1.png", tarfile.SYMTYPE)):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "p/00.PNG"
            tar.addfile(member)
        for name in ("q/._1.png", "README", ".DS_Store", "__meta__.json", "list.txt"):
            tar.addfile(tarfile.TarInfo(name))
    index = scan_tar(path, Fields(("png",), ("cls",), False, "label"))
    assert [*index.keys] == ["p/00"]
    assert index.faults == {}


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_all_kinds_of_tars_are_read_with_long_names_and_accents(tmp_path, kind):
    key = "é" * 30 + "/" + "y" * (130 if kind != tarfile.USTAR_FORMAT else 60)
    with tarfile.open(tmp_path / "a.tar", "w", format=kind) as tar:
        for suffix, content in (("png", PHOTO), ("cls", b"1")):
            member = tarfile.TarInfo(f"{key}.{suffix}")
            member.size, member.mtime = len(content), 1.5 if kind == tarfile.PAX_FORMAT else 1
            tar.addfile(member, io.BytesIO(content))
    data = opened(tmp_path)
    data.setup("test")
    assert data.samples.name(0) == key
    assert np.array_equal(data.samples.read(0)[0], photo())


def test_an_index_is_kept_and_made_anew_where_the_tar_or_the_question_changes(
    tmp_path, own_cache, monkeypatch
):
    path = tars(tmp_path / "s") / "set-000.tar"
    scans = []

    def counted(*arguments):
        scans.append(arguments)
        return scan_tar(*arguments)

    monkeypatch.setattr("project.data.shards.tar_index.scan_tar", counted)

    def index(fields=FIELDS):
        return tar_index(path, stat_shard(path), fields)

    first, second = index(), index()
    assert len(scans) == 1
    assert [*first.keys] == [*second.keys]
    assert np.array_equal(first.places, second.places)
    assert np.array_equal(first.labels, second.labels)
    assert (first.faults, first.found) == (second.faults, second.found)
    index(FIELDS._replace(target=("txt",)))
    assert len(scans) == 2
    write_tar(path, members(1))
    assert [*index().keys] == ["p/01"]
    assert len(scans) == 3
    for file in own_cache.rglob("*.npz"):
        file.write_bytes(file.read_bytes()[:-30])
    with pytest.warns(UserWarning, match="cannot be read .* it is made anew"):
        assert [*index().keys] == ["p/01"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        index()
    assert len(scans) == 4
    monkeypatch.setenv(FOLDER_VARIABLE, "")
    index()
    assert len(scans) == 5


def test_a_folder_of_indexes_that_cannot_be_written_is_told(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "file"))
    data = opened(tars(tmp_path / "s"))
    with pytest.warns(UserWarning, match=f"cannot be kept.*{FOLDER_VARIABLE}"):
        data.setup("test")
    assert len(data.samples) == COUNT


@pytest.mark.filterwarnings("ignore")  # it leaves its files to the collector
def test_samples_are_those_that_webdataset_finds(tmp_path):
    if importlib.util.find_spec("webdataset") is None:
        pytest.skip("needs webdataset")
    import webdataset as wds

    with wds.ShardWriter(f"{tmp_path}/w-%06d.tar", maxcount=4, verbose=0) as sink:
        for number in range(COUNT):
            image, label = photo(seed=number), number % 3
            sink.write({"__key__": f"a/{number}x", "png": image, "cls": label, "json": {"k": 1}})
    pattern = "w-{000000..000002}.tar"
    theirs = [
        (one["__key__"], one["png"], int(one["cls"]))
        for one in wds.WebDataset(f"{tmp_path}/{pattern}", shardshuffle=False)
    ]
    gc.collect()
    data = ShardData(str(tmp_path), shards=pattern, num_classes=3)
    data.setup("test")
    ours = [
        (name, data.samples.shards.encoded(k)[0], data.samples.label(k))
        for k, name in enumerate(data.samples.names)
    ]
    assert ours == theirs
    assert len(ours) == COUNT


def test_faults_found_in_a_later_shard_bear_that_shard(tmp_path):
    tars(tmp_path)
    write_tar(tmp_path / "set-002.tar", [*members(8), ("p/09.png", PHOTO)])
    with pytest.raises(DataError, match=r"1 of 10.*\n  set-002.tar: p/09: has no class"):
        opened(tmp_path, verify=False).setup("test")

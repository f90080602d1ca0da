"""The store: lossless, addressed by content, never half."""

import errno
import os
import time
import warnings

import numpy as np
import pytest

from project.storage.files import WriteError
from project.storage.store import Store, StoredSample, StoreError
from tests.storage.damage import change, flipped, stored

DESCRIPTION = {"attack": {"class": "PGD", "eps": 8 / 255}, "source": "abc", "data": "def"}


def sample(seed: int, with_flow: bool = True) -> StoredSample:
    random = np.random.default_rng(seed)
    return StoredSample(
        image=random.integers(0, 256, (6, 9, 3), dtype=np.uint8),
        facts={"success": True, "steps": 7, "flow_max": 0.12345678901234567},
        flow=random.normal(size=(2, 6, 9)).astype(np.float16) if with_flow else None,
        mask=random.integers(0, 2, (6, 9), dtype=np.uint8) * 255 if with_flow else None,
        traces={"objective": random.normal(size=7).astype(np.float32)} if with_flow else {},
    )


def open_store(root) -> Store:
    return Store(root, "pgd-resnet", DESCRIPTION)


@pytest.mark.parametrize("with_flow", [True, False])
def test_what_comes_back_is_what_went_in(tmp_path, with_flow):
    kept = sample(0, with_flow)
    open_store(tmp_path).save([42], [kept])
    (found,) = open_store(tmp_path).load([42])
    np.testing.assert_array_equal(found.image, kept.image)
    assert found.facts == kept.facts
    assert type(found.facts["steps"]) is int
    assert found.facts["success"] is True
    for name in ("flow", "mask"):
        if with_flow:
            np.testing.assert_array_equal(getattr(found, name), getattr(kept, name))
        else:
            assert getattr(found, name) is None
    assert found.traces.keys() == kept.traces.keys()
    for name, values in kept.traces.items():
        assert found.traces[name].dtype == np.float32
        np.testing.assert_array_equal(found.traces[name], values)


def test_batch_is_loaded_whole_or_not_at_all(tmp_path):
    store = open_store(tmp_path)
    store.save([1, 2], [sample(1), sample(2)])
    assert 1 in store
    assert 3 not in store
    assert store.load([1, 2]) is not None
    assert store.load([1, 3]) is None


def test_another_description_is_another_folder(tmp_path):
    open_store(tmp_path).save([1], [sample(1)])
    other = Store(tmp_path, "pgd-resnet", DESCRIPTION | {"data": "xyz"})
    assert 1 not in other


def test_truncated_image_is_attacked_again_with_a_warning(tmp_path):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    change(store.folder, "00000001.png", lambda content: content[:60])
    with pytest.warns(UserWarning, match="its batch is attacked again"):
        assert store.load([1]) is None


def test_what_was_made_from_something_else_is_attacked_again_with_a_warning(tmp_path):
    store = open_store(tmp_path)
    store.save([1, 2], [sample(1), sample(2)], ["one", "two"])
    assert store.load([1, 2], ["one", "two"]) is not None
    assert store.load([1, 2]) is not None
    with pytest.warns(UserWarning, match=r"00000002\.png was made from another .*its batch"):
        assert store.load([1, 2], ["one", "other"]) is None
    store.save([3], [sample(3)])  # which does not say
    with pytest.warns(UserWarning, match="another"):
        assert store.load([3], ["three"]) is None


def test_arrays_that_have_gone_are_missed(tmp_path):
    store = open_store(tmp_path)
    store.save([1, 2], [sample(1), sample(2, with_flow=False)])
    change(store.folder, "00000001.npz", None)
    with pytest.warns(UserWarning, match=r"00000001\.npz is gone.*its batch is attacked again"):
        assert store.load([1]) is None
    with pytest.warns(UserWarning, match=r"other files than its name says.*is attacked again"):
        assert open_store(tmp_path).load([2]) is None
    assert store.load([2]) is not None


def test_store_of_another_experiment_is_refused(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    other = DESCRIPTION | {"source": "another victim"}
    key = store.key[:16] + 48 * "0"  # one that begins alike
    monkeypatch.setattr("project.storage.store.digest", lambda d: key if d == other else store.key)
    with pytest.raises(StoreError, match="store of another experiment"):
        Store(tmp_path, "pgd-resnet", other)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
def test_a_damaged_manifest_is_written_anew(tmp_path, damage):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    path = store.folder / "manifest.json"
    whole = path.read_bytes()
    if damage == "gone":
        path.unlink()
        open_store(tmp_path)
    else:
        path.write_bytes(whole[:40] if damage == "cut" else whole.replace(b"abc", b"abb"))
        with pytest.warns(UserWarning, match=r"manifest\.json was damaged"):
            open_store(tmp_path)
    assert path.read_bytes() == whole
    assert open_store(tmp_path).load([1]) is not None


def test_a_right_file_under_another_name_or_key_is_attacked_again(tmp_path):
    store = open_store(tmp_path)
    other = Store(tmp_path, "pgd-resnet", DESCRIPTION | {"source": "other"})
    for one, seed in ((store, 0), (other, 9)):
        one.save([1, 2], [sample(seed), sample(seed)], ["same", "same"])  # of equal content
    for suffix in (".png", ".npz"):
        swapped = open_store(tmp_path)
        name = f"00000001{suffix}"
        whole = stored(swapped.folder)
        for wrong in (whole[f"00000002{suffix}"], stored(other.folder)[name]):
            change(swapped.folder, name, lambda _, wrong=wrong: wrong)
            with pytest.warns(UserWarning, match=rf"00000001\{suffix}: its checksum"):
                assert swapped.load([1], ["same"]) is None
        change(swapped.folder, name, lambda _, name=name, whole=whole: whole[name])


@pytest.mark.parametrize("name", ["00000001.npz", "00000001.png"])
def test_every_flipped_bit_of_a_file_is_noticed(tmp_path, name):
    """Also where the archive's own checksum fits the damage."""
    store = open_store(tmp_path)
    store.save([1], [sample(1)], ["origin"])
    whole = stored(store.folder)[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 500):
            change(store.folder, name, lambda _, bit=bit: flipped(whole, int(bit)))
            assert store.load([1]) is None, f"bit {bit}"
    assert store.damages([1])
    change(store.folder, name, lambda _: whole)
    assert store.damages([1]) == {}


def test_every_flipped_bit_of_an_archive_is_noticed_or_harmless(tmp_path):
    samples = [sample(1), sample(2)]
    store = open_store(tmp_path)
    store.save([1, 2], samples)
    (path,) = store.folder.glob("*.zip")
    whole = path.read_bytes()
    lost = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 500):
            path.write_bytes(flipped(whole, int(bit)))
            found = open_store(tmp_path).load([1, 2])
            if found is None:
                lost += 1
                continue
            for one, other in zip(found, samples, strict=True):
                np.testing.assert_array_equal(one.image, other.image)
                np.testing.assert_array_equal(one.flow, other.flow)
                assert one.facts == other.facts
    assert lost > 400


def test_full_disk_keeps_what_is_stored_and_says_what_to_do(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    replace = os.replace

    def full(source, target):
        if str(target).split("/")[-1].startswith("00000002."):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match=r"00000002\..*zip: No space left.*run the same command"):
        store.save([2, 3], [sample(2), sample(3)])
    assert 1 in store
    assert 2 not in store
    assert 3 not in store
    assert not [path for path in store.folder.iterdir() if path.name.startswith(".")]


def test_label_with_odd_characters_is_a_folder_name(tmp_path):
    store = Store(tmp_path, "my attack/on vit_b.16:x", DESCRIPTION)
    store.save([1], [sample(1)])
    assert store.folder.parent == tmp_path
    assert Store(tmp_path, "my attack/on vit_b.16:x", DESCRIPTION).load([1]) is not None


@pytest.mark.parametrize("name", ["00000001.npz", "00000001.png", None])
def test_file_that_is_broken_in_any_way_is_attacked_again(tmp_path, name):
    open_store(tmp_path).save([1], [sample(1)])
    (path,) = tmp_path.rglob("*.zip")
    whole = stored(tmp_path)[name] if name else path.read_bytes()
    for end in range(0, len(whole) * 9 // 10, 37):
        if name:
            change(path.parent, name, lambda content, end=end: whole[:end])
        else:
            path.write_bytes(whole[:end])
        with pytest.warns(UserWarning, match="its batch is attacked again"):
            assert open_store(tmp_path).load([1]) is None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        open_store(tmp_path).save([1], [sample(1)])
    assert open_store(tmp_path).load([1]) is not None


def test_what_a_killed_writer_left_goes_when_nobody_can_be_writing_it_any_more(tmp_path):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    kept = sorted(store.folder.iterdir())
    old, fresh = (store.folder / f".00000002.png.{name}.part" for name in ("old", "fresh"))
    for path, age in ((old, 3700), (fresh, 3500), *((path, 10**6) for path in kept)):
        if path not in kept:
            path.write_bytes(b"half")
        os.utime(path, (time.time() - age,) * 2)
    open_store(tmp_path)
    assert sorted(store.folder.iterdir()) == sorted([*kept, fresh])
    fresh.unlink()


def test_the_same_samples_are_the_same_bytes_in_whatever_batches_they_come(tmp_path):
    indices, samples = list(range(9)), [sample(seed) for seed in range(9)]
    open_store(tmp_path / "whole").save(indices, samples)
    open_store(tmp_path / "again").save(indices, samples)
    for index, one in zip(indices, samples, strict=True):
        open_store(tmp_path / "single").save([index], [one])
    whole, again = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*/*")}
        for name in ("whole", "again")
    )
    assert whole == again
    assert len(whole) == 1 + 1
    assert stored(tmp_path / "whole") == stored(tmp_path / "single")
    assert len(stored(tmp_path / "whole")) == 2 * 9


def test_a_batch_is_one_file(tmp_path):
    store = open_store(tmp_path)
    for first in range(0, 12, 4):
        batch = list(range(first, first + 4))
        store.save(batch, [sample(index) for index in batch])
    assert sorted(path.suffix for path in store.folder.iterdir()) == [".json", *[".zip"] * 3]


def test_what_is_written_again_counts_from_then_on_whatever_the_batches(tmp_path):
    store, other = open_store(tmp_path), open_store(tmp_path)
    store.save([1, 2], [sample(1), sample(2)])
    assert other.load([1, 2]) is not None
    store.save([2, 3], [sample(20), sample(30)])
    store.save([1], [sample(10)])
    for one in (other, open_store(tmp_path)):
        found = one.load([1, 2, 3])
        assert found is not None
        for kept, seed in zip(found, (10, 20, 30), strict=True):
            np.testing.assert_array_equal(kept.image, sample(seed).image)
    for path in store.folder.glob("*.zip"):  # a copy of the folder has other times
        os.utime(path, (0, 10**9 if path.name.startswith("00000001.0") else 0))
    assert open_store(tmp_path).load([1])[0].image.tolist() == sample(10).image.tolist()


def test_an_older_store_of_single_files_is_read(tmp_path):
    store = open_store(tmp_path)
    store.save([1, 2], [sample(1), sample(2, with_flow=False)], ["one", "two"])
    (path,) = store.folder.glob("*.zip")
    for name, content in stored(store.folder).items():
        (store.folder / name).write_bytes(content)
    path.unlink()
    old = open_store(tmp_path)
    assert 1 in old
    assert 3 not in old
    first, second = old.load([1, 2], ["one", "two"])
    np.testing.assert_array_equal(first.image, sample(1).image)
    np.testing.assert_array_equal(first.flow, sample(1).flow)
    assert second.flow is None
    assert [name for name, _ in old.pngs([1, 2, 3])] == ["00000001.png", "00000002.png"]
    old.save([2], [sample(20)])
    np.testing.assert_array_equal(old.load([2])[0].image, sample(20).image)


def test_what_others_write_is_seen_at_once(tmp_path):
    mine, others = open_store(tmp_path), open_store(tmp_path)
    for index in range(40):
        assert index not in mine
        others.save([index], [sample(index)])
        assert index in mine

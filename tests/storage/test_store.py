"""The store: lossless, addressed by content, never half."""

import errno
import os
import time
import warnings

import numpy as np
import pytest

from project.storage.files import WriteError
from project.storage.store import Store, StoredSample, StoreError
from tests.storage.damage import flipped

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
    path = store.folder / "00000001.png"
    path.write_bytes(path.read_bytes()[:60])
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
    (store.folder / "00000001.npz").unlink()
    with pytest.warns(UserWarning, match=r"00000001\.npz is gone.*its batch is attacked again"):
        assert store.load([1]) is None
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
        path = swapped.folder / f"00000001{suffix}"
        whole = path.read_bytes()
        for wrong in (swapped.folder / f"00000002{suffix}", other.folder / path.name):
            path.write_bytes(wrong.read_bytes())
            with pytest.warns(UserWarning, match=rf"00000001\{suffix}: its checksum"):
                assert swapped.load([1], ["same"]) is None
        path.write_bytes(whole)


@pytest.mark.parametrize("name", ["00000001.npz", "00000001.png"])
def test_every_flipped_bit_is_noticed(tmp_path, name):
    store = open_store(tmp_path)
    store.save([1], [sample(1)], ["origin"])
    path = store.folder / name
    whole = path.read_bytes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for bit in np.random.default_rng(0).integers(0, 8 * len(whole), 500):
            path.write_bytes(flipped(whole, int(bit)))
            assert store.load([1]) is None, f"bit {bit}"
    assert store.damage(1)
    path.write_bytes(whole)
    assert store.damage(1) is None


def test_full_disk_keeps_what_is_stored_and_says_what_to_do(tmp_path, monkeypatch):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    replace = os.replace

    def full(source, target):
        if str(target).endswith("00000003.png"):
            raise OSError(errno.ENOSPC, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(WriteError, match=r"00000003\.png: No space left.*run the same command"):
        store.save([2, 3], [sample(2), sample(3)])
    assert 1 in store
    assert 2 in store
    assert 3 not in store
    assert not [path for path in store.folder.iterdir() if path.name.startswith(".")]


def test_label_with_odd_characters_is_a_folder_name(tmp_path):
    store = Store(tmp_path, "my attack/on vit_b.16:x", DESCRIPTION)
    store.save([1], [sample(1)])
    assert store.folder.parent == tmp_path
    assert Store(tmp_path, "my attack/on vit_b.16:x", DESCRIPTION).load([1]) is not None


@pytest.mark.parametrize("name", ["00000001.npz", "00000001.png"])
def test_file_that_is_broken_in_any_way_is_attacked_again(tmp_path, name):
    store = open_store(tmp_path)
    store.save([1], [sample(1)])
    path = store.folder / name
    whole = path.read_bytes()
    for end in range(0, len(whole) * 9 // 10, 37):
        path.write_bytes(whole[:end])
        with pytest.warns(UserWarning, match="its batch is attacked again"):
            assert store.load([1]) is None


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


def test_the_same_samples_are_the_same_bytes_in_whatever_order_writers_come(tmp_path):
    indices, samples = list(range(9)), [sample(seed) for seed in range(9)]
    open_store(tmp_path / "whole").save(indices, samples)
    for index, one in zip(indices, samples, strict=True):
        open_store(tmp_path / "single").save([index], [one])
    whole, single = (
        {path.name: path.read_bytes() for path in (tmp_path / name).glob("*/*")}
        for name in ("whole", "single")
    )
    assert whole == single
    assert len(whole) == 2 * 9 + 1

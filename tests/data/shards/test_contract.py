"""Samples in shards are those of files: pixels, targets, dealing, limits, resuming, changes."""

import multiprocessing
import os
import pickle

import numpy as np
import pytest
import torch
from PIL import Image

from project.core.identity import describe, digest
from project.data import Augmentation, DataError, MaskShardData, Reading, ShardData, Stretch
from tests.data.files import photo
from tests.data.shards.made import (
    COUNT,
    WRITERS,
    files,
    members,
    opened,
    parquets,
    png,
    shard_data,
    table,
    tars,
    write_tar,
)
from tests.data.test_datamodule import as_rank

KINDS = ("tar", "parquet")
TASKS = pytest.mark.parametrize("masks", [False, True], ids=["classes", "masks"])
EVERY = pytest.mark.parametrize("kind", KINDS)


def samples(loader) -> dict[int, tuple[torch.Tensor, torch.Tensor]]:
    """Return image and target by index; no index may occur twice."""
    found: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
    for batch in loader:
        for index, image, target in zip(
            *(batch[k] for k in ("index", "image", "target")), strict=True
        ):
            assert int(index) not in found
            found[int(index)] = (image, target)
    return found


def same(first, second) -> bool:
    return first.keys() == second.keys() and all(
        torch.equal(one, other)
        for index in first
        for one, other in zip(first[index], second[index], strict=True)
    )


def ready(data, rank=0, world_size=1):
    as_rank(data, rank, world_size)
    data.setup("test")
    return data


@EVERY
@TASKS
def test_samples_are_those_of_a_folder_of_files(tmp_path, kind, masks):
    data, plain = shard_data(tmp_path / "s", kind, masks), files(tmp_path / "f", masks)
    data.setup("test")
    plain.setup("test")
    assert data.task == plain.task
    assert len(data.samples) == COUNT
    order = [f"{k:02d}" for k in range(COUNT)]
    assert [name.removeprefix("p/") for name in data.samples.names] == order
    by_name = {name: index for index, name in enumerate(plain.samples.names)}
    for index, name in enumerate(order):
        one, other = data.samples[index], plain.samples[by_name[name]]
        assert torch.equal(one["image"], other["image"])
        assert torch.equal(one["target"], other["target"])
        assert data.samples.label(index) == plain.samples.label(by_name[name])
        if masks:
            salient = data.samples.salient_mask(index)
            assert torch.equal(salient, plain.samples.salient_mask(by_name[name]))
            assert data.samples.stored_ids(index) == {7, 8}


@EVERY
@TASKS
@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("ranks", [1, 2, 4])
def test_any_number_of_processes_and_workers_gets_each_sample_once(
    tmp_path, kind, masks, ranks, workers
):
    whole = samples(ready(shard_data(tmp_path, kind, masks, batch_size=3)).test_dataloader()[0])
    assert sorted(whole) == list(range(COUNT))
    together: dict = {}
    for rank in range(ranks):
        data = ready(opened(tmp_path, masks, batch_size=2, num_workers=workers), rank, ranks)
        own = samples(data.test_dataloader()[0])
        assert not together.keys() & own.keys()
        together |= own
    assert same(whole, together)


@EVERY
def test_training_is_the_same_for_any_number_of_workers_and_resumes_in_mid_epoch(tmp_path, kind):
    WRITERS[kind](tmp_path / "train")
    settings = {"shards": "{split}", "train_split": "train", "eval_split": "train"}

    def batches(workers: int, state=None):
        data = opened(tmp_path, augment=Augmentation(flip=0.5), num_workers=workers, **settings)
        data.setup("fit")
        if state is not None:
            data.load_state_dict(state)
        loader = data.train_dataloader()
        loader.batch_sampler.sampler.set_epoch(3)
        return data, loader

    data, loader = batches(0)
    unbroken, states = [], []
    for batch in loader:
        unbroken.append(batch)
        states.append(data.state_dict())
    assert len(unbroken) == 5
    again = [*batches(2)[1]]
    resumed = [*batches(1, states[1])[1]]
    for found, wanted in ((again, unbroken), (resumed, unbroken[2:])):
        assert len(found) == len(wanted)
        for one, other in zip(found, wanted, strict=True):
            assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_workers_that_are_forked_or_spawned_read_the_same(tmp_path, method):
    both = [ready(shard_data(tmp_path / kind, kind)).samples for kind in KINDS]
    here = [sample for some in both for sample in some]  # this process reads first
    loader = torch.utils.data.DataLoader(
        torch.utils.data.ConcatDataset(both),
        batch_size=None,
        num_workers=1,
        multiprocessing_context=multiprocessing.get_context(method),
    )
    there = [*loader]
    assert len(there) == 2 * COUNT
    for one, other in zip(there, here, strict=True):
        assert all(torch.equal(one[name], other[name]) for name in one)


@EVERY
def test_no_file_stays_open_and_none_travels(tmp_path, kind):
    data = ready(shard_data(tmp_path, kind, verify=False))
    before = sorted(os.listdir("/proc/self/fd"))
    first = samples(data.test_dataloader()[0])
    assert sorted(os.listdir("/proc/self/fd")) == before
    copy = pickle.loads(pickle.dumps(data.samples))
    assert same(samples([{k: v[None] for k, v in copy[at].items()} for at in range(COUNT)]), first)


@EVERY
def test_a_limit_is_spaced_evenly_and_keeps_indices(tmp_path, kind):
    whole = ready(shard_data(tmp_path, kind))
    data = ready(opened(tmp_path, limit=4))
    assert data.samples.indices == [0, 2, 5, 8]
    assert torch.equal(data.samples[3]["image"], whole.samples[8]["image"])
    assert data.samples.fingerprint() == whole.samples.fingerprint()


@EVERY
@TASKS
def test_the_fingerprint_knows_samples_and_frame_but_not_the_folder(tmp_path, kind, masks):
    def fingerprint(folder, **settings):
        return opened(tmp_path / folder, masks, **settings).samples.fingerprint()

    for folder in "ab":
        WRITERS[kind](tmp_path / folder, masks)
    base = fingerprint("a")
    assert fingerprint("b", batch_size=1, limit=3) == base
    assert fingerprint("b", frame=Stretch(8, 8)) != base
    assert fingerprint("b", reading=Reading(orientation="displayed")) != base
    if masks:
        assert fingerprint("b", classes={7: "high", 8: "low"}) != base
    else:
        assert fingerprint("b", num_classes=4) != base
    WRITERS[kind](tmp_path / "b", masks, shards=2)
    (tmp_path / "b").joinpath(sorted(os.listdir(tmp_path / "b"))[-1]).unlink()
    assert fingerprint("b") != base


def test_the_same_samples_in_other_tars_have_the_same_fingerprint(tmp_path):
    write_tar(tmp_path / "one.tar", [part for k in range(COUNT) for part in members(k)])
    one = ShardData(str(tmp_path), num_classes=3).samples.fingerprint()
    assert opened(tars(tmp_path / "three")).samples.fingerprint() == one
    other = [("p/00.cls", b"2"), *[part for k in range(COUNT) for part in members(k)][1:]]
    write_tar(tmp_path / "one.tar", other)
    changed = ShardData(str(tmp_path), shards="one.tar", num_classes=3)
    assert changed.samples.fingerprint() != one


@EVERY
def test_a_shard_that_changes_after_it_was_verified_is_named(tmp_path, kind):
    data = ready(shard_data(tmp_path, kind))
    shard = tmp_path / data.samples.where(5).partition(":")[0]
    os.utime(shard, ns=(1, 1))
    with pytest.raises(ValueError, match=r"set-0+1.*shard has changed since it was listed"):
        data.samples[5]
    assert int(data.samples[0]["index"]) == 0
    shard.unlink()
    with pytest.raises(ValueError, match=r"set-0+1.*shard is missing"):
        data.samples[5]


@TASKS
def test_a_broken_photo_is_told_with_shard_and_key_or_left_out(tmp_path, masks):
    tars(tmp_path, masks)
    broken = [
        (n, c[:-40] if n.endswith("05.PNG") else c) for k in (4, 5) for n, c in members(k, masks)
    ]
    write_tar(tmp_path / "set-001.tar", broken)
    with pytest.raises(
        DataError, match=r"1 of 9 samples .*\n  set-001.tar: p/05: cannot be decoded"
    ):
        opened(tmp_path, masks).setup("test")
    data = opened(tmp_path, masks, on_error="skip")
    with pytest.warns(UserWarning, match="skipped 1 of 9"):
        data.setup("test")
    assert data.samples.indices == [0, 1, 2, 3, 4, 6, 7, 8]


@EVERY
def test_a_rotation_in_exif_is_told_and_can_be_followed(tmp_path, kind):
    packed = photo_of_exif(tmp_path)
    if kind == "tar":
        write_tar(tmp_path / "s" / "a.tar", [("a.jpg", packed), ("a.cls", b"0")])
    else:
        write_parquet(tmp_path / "s", [packed])
    data = ShardData(str(tmp_path / "s"), num_classes=1)
    with pytest.warns(UserWarning, match="1 of 1 photos have an EXIF rotation"):
        data.setup("test")
    turned = ShardData(str(tmp_path / "s"), num_classes=1, reading=Reading(orientation="displayed"))
    turned.setup("test")
    assert data.samples[0]["image"].shape == (3, 24, 32)
    assert turned.samples[0]["image"].shape == (3, 32, 24)


def photo_of_exif(folder) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(photo()).save(folder / "turned.jpg", exif=exif)
    return (folder / "turned.jpg").read_bytes()


def write_parquet(root, pictures) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    root.mkdir(parents=True, exist_ok=True)
    rows = [{"bytes": one, "path": None} for one in pictures]
    pq.write_table(pa.table({"image": rows, "label": [0] * len(rows)}), root / "a.parquet")


@EVERY
def test_masks_of_another_size_and_unknown_ids_are_told_with_their_sample(tmp_path, kind):
    wrong = [
        np.full((24, 31), 7, np.uint8),
        np.full((24, 32), 9, np.uint8),
        np.full((24, 32, 3), 7, np.uint8),
    ]
    if kind == "tar":
        parts = [
            [(f"{k}.png", png(photo())), (f"{k}.seg.png", png(m))] for k, m in enumerate(wrong)
        ]
        write_tar(tmp_path / "a.tar", [one for some in parts for one in some])
    else:
        import pyarrow as pa
        import pyarrow.parquet as pq

        rows = {"image": [png(photo())] * 3, "mask": [png(one) for one in wrong]}
        pq.write_table(pa.table(rows), tmp_path / "a.parquet")
    places = ["a.tar: 0", "a.tar: 1", "a.tar: 2"]
    if kind == "parquet":
        places = [rf"a.parquet: row {k} \(a_00000{k}\)" for k in range(3)]
    expected = (
        rf"(?s)3 of 3.*{places[0]}: image and mask must have the same size, got 32×24 and 31×24 .*"
        rf"{places[1]}: mask: all ids must be in the map of classes, got 9.*"
        rf"{places[2]}: mask: a mask of ids must have one channel"
    )
    with pytest.raises(DataError, match=expected):
        opened(tmp_path, True).setup("test")


@EVERY
def test_classes_out_of_range_are_told_before_any_photo_is_read(tmp_path, kind):
    data = shard_data(tmp_path, kind, num_classes=2, verify=False)
    with pytest.raises(
        DataError, match=r"3 of 11.*\n  set.*02.*class index must be in 0 … 1, got 2"
    ):
        data.setup("test")
    shifted = opened(tmp_path, num_classes=3, label_offset=1, on_error="skip")
    with pytest.warns(UserWarning, match="skipped 4 of 11"):
        shifted.setup("test")
    assert shifted.samples.label(1) == 0


def test_data_sets_of_shards_describe_themselves(tmp_path):
    root = str(tars(tmp_path))
    made = [ShardData(root), ShardData(root, num_classes=5), MaskShardData(root, classes=["x"])]
    assert len({digest(describe(one)) for one in made}) == 3


def test_kinds_are_not_mixed(tmp_path):
    tars(tmp_path)
    parquets(tmp_path)
    with pytest.raises(ValueError, match=r"must be of one kind, got .*\.parquet and .*\.tar"):
        opened(tmp_path).setup("test")
    data = ready(opened(tmp_path, shards="*.tar"))
    assert len(data.samples) == COUNT


@pytest.mark.parametrize("settings", [{"eval_split": "val"}, {"shards": "{split}/*.tar"}])
def test_a_split_needs_a_place_in_the_pattern(tmp_path, settings):
    with pytest.raises(ValueError, match="a split is chosen by its name in the place of"):
        ShardData(str(tmp_path), **settings)


def test_rows_of_parquet_bring_the_names_of_their_classes(tmp_path):
    assert table(range(2)).schema.metadata
    data = ready(ShardData(str(parquets(tmp_path))))
    assert data.class_names == ("a", "b", "c")
    assert data.num_classes == 3

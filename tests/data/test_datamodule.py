from types import SimpleNamespace

import pytest
import torch
from lightning import LightningModule, Trainer

from project.core.errors import InputError
from project.core.identity import describe, digest
from project.data import Augmentation, CamVidData, CentreCrop, Native, ShapesData, Stretch, VOCData
from project.data.loader import first_images
from tests.data.files import blocks, camvid, photo, save


def shapes(**arguments):
    settings = {"num_train": 20, "num_test": 11, "num_val": 5, "batch_size": 4}
    data = ShapesData(**{**settings, **arguments})
    data.setup("fit")
    data.setup("test")
    return data


def as_rank(data, rank, world_size, own_sampler=False):
    connector = SimpleNamespace(use_distributed_sampler=own_sampler)
    data.trainer = SimpleNamespace(
        global_rank=rank, world_size=world_size, _accelerator_connector=connector
    )
    return data


def indices(loader):
    return [batch["index"].tolist() for batch in loader]


@pytest.mark.parametrize("task", ["classification", "segmentation"])
def test_batches_keep_the_contract(task):
    data = shapes(task=task)
    for loader in (data.train_dataloader(), data.val_dataloader(), *data.test_dataloader()):
        batch = next(iter(loader))
        assert set(batch) == {"image", "target", "index"}
        assert (batch["image"].dtype, batch["image"].shape) == (torch.float32, (4, 3, 64, 64))
        assert batch["target"].dtype == batch["index"].dtype == torch.int64
        assert batch["target"].shape == ((4,) if task == "classification" else (4, 64, 64))
        assert 0 <= batch["image"].min() <= batch["image"].max() <= 1


def test_there_is_one_test_loader_per_pass_and_all_give_the_same_samples():
    data = shapes()
    data.passes = ("clean", "fgsm", "pgd")
    loaders = data.test_dataloader()
    assert [indices(loader) for loader in loaders] == [[[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10]]] * 3


def test_two_ranks_get_together_what_one_process_gets():
    whole = indices(shapes().test_dataloader()[0])
    shares = [indices(as_rank(shapes(), rank, 2).test_dataloader()[0]) for rank in range(2)]
    assert shares == [whole[0::2], whole[1::2]]


def test_a_trainer_that_adds_its_own_sampler_is_refused():
    data = as_rank(ShapesData(), 0, 2, own_sampler=True)
    with pytest.raises(ValueError, match="use_distributed_sampler=False"):
        data.setup("test")


def test_training_visits_every_sample_once_in_an_order_of_the_epoch():
    loader = shapes().train_dataloader()
    orders = []
    for epoch in range(2):
        loader.batch_sampler.sampler.set_epoch(epoch)
        orders.append([index for batch in indices(loader) for index in batch])
    assert sorted(orders[0]) == sorted(orders[1]) == list(range(20))
    assert orders[0] != orders[1]


@pytest.mark.parametrize(("count", "batches"), [(20, 5), (21, 5), (3, 1)])
def test_a_short_training_batch_is_left_out_unless_it_is_the_only_one(count, batches):
    loader = shapes(num_train=count).train_dataloader()
    assert len(list(loader)) == batches


@pytest.mark.parametrize("workers", [0, 2])
def test_augmentation_depends_on_seed_epoch_and_index_alone(workers):
    augment = Augmentation(flip=0.5, colour_jitter=0.5)

    def images(batch_size, num_workers, epoch=0, seed=0):
        data = shapes(augment=augment, batch_size=batch_size, num_workers=num_workers, seed=seed)
        loader = data.train_dataloader()
        loader.batch_sampler.sampler.set_epoch(epoch)
        return {
            int(index): image
            for batch in loader
            for index, image in zip(batch["index"], batch["image"], strict=True)
        }

    first, second = images(4, 0), images(10, workers)
    assert all(torch.equal(first[index], second[index]) for index in range(20))
    later = images(4, 0, epoch=1)
    assert not any(torch.equal(first[index], later[index]) for index in range(20))


def test_a_limit_is_spaced_evenly_over_the_list_and_keeps_indices():
    data = shapes(num_test=10, limit=4)
    assert data.samples.indices == [0, 2, 5, 7]
    assert [int(data.samples[position]["index"]) for position in range(4)] == [0, 2, 5, 7]
    assert len(data.train_samples) == 20


@pytest.mark.parametrize("wrong", [{"batch_size": 0}, {"num_workers": -1}])
def test_numbers_that_are_too_small_are_refused(wrong):
    with pytest.raises(InputError, match=r"batch_size must be at least 1 and num_workers .* got"):
        shapes(**wrong)


def test_a_limit_beyond_the_end_takes_all():
    assert len(shapes(limit=1000).samples) == 11


def test_images_of_different_size_in_a_batch_name_sizes_and_remedy(tmp_path):
    for number, height in enumerate((20, 24)):
        save(tmp_path / "images" / f"{number}.png", photo(height, 32))
        save(tmp_path / "masks" / f"{number}.png", blocks(height, 32, [0, 1]))
    arguments = {"images": "images", "masks": "masks", "lists": None}
    data = VOCData(str(tmp_path), **arguments)
    data.setup()
    with pytest.raises(ValueError, match=r"one size, got 32×20, 32×24\. Give the data a frame"):
        next(iter(data.test_dataloader()[0]))
    for fixed in (
        VOCData(str(tmp_path), **arguments, batch_size=1),
        VOCData(str(tmp_path), **arguments, frame=Stretch(16, 16)),
    ):
        fixed.setup()
        assert indices(fixed.test_dataloader()[0])


def test_the_fingerprint_knows_files_labels_and_frame_but_not_limit_batch_or_folder(tmp_path):
    def fingerprint(folder, **arguments):
        return CamVidData(str(tmp_path / folder), **arguments).samples.fingerprint()

    camvid(tmp_path / "a")
    camvid(tmp_path / "b")
    base = fingerprint("a")
    assert fingerprint("a", limit=1, batch_size=3, num_workers=2) == base
    assert fingerprint("b") == base
    assert fingerprint("a", frame=Stretch(10, 10)) != base
    assert fingerprint("a", frame=Stretch(10, 12)) != fingerprint("a", frame=Stretch(10, 10))
    save(tmp_path / "b" / "test" / "test_1.png", photo())
    assert fingerprint("b") != base


def test_the_fingerprint_of_shapes_knows_seed_size_split_and_task():
    changes = [{}, {"seed": 1}, {"size": 32}, {"eval_split": "val"}, {"task": "segmentation"}]
    assert len({ShapesData(**change).samples.fingerprint() for change in changes}) == len(changes)
    assert ShapesData(num_test=5).samples.fingerprint() == ShapesData().samples.fingerprint()


def test_datamodules_frames_and_augmentations_describe_themselves():
    first = ShapesData(frame=CentreCrop(64, 56), augment=Augmentation())
    second = ShapesData(frame=CentreCrop(64, 48), augment=Augmentation())
    assert digest(describe(first)) != digest(describe(second))
    assert digest(describe(first)) == digest(
        describe(ShapesData(frame=CentreCrop(64, 56), augment=Augmentation()))
    )
    assert describe(Native())["class"].endswith("Native")


class Recorder(LightningModule):
    """Notes which samples each test loader brings."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[int, list[int]]] = []

    def test_step(self, batch, batch_idx, dataloader_idx=0):
        self.seen.append((dataloader_idx, batch["index"].tolist()))


@pytest.mark.filterwarnings("ignore:.*does not have many workers.*:UserWarning")
@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.`:FutureWarning")
def test_lightning_runs_every_pass_over_every_sample(tmp_path):
    data = ShapesData(num_test=5, batch_size=2)
    data.passes = ("clean", "pgd")
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    module = Recorder()
    trainer.test(module, datamodule=data, verbose=False)
    assert module.seen == [(loader, batch) for loader in (0, 1) for batch in ([0, 1], [2, 3], [4])]


def test_first_images_are_those_that_make_a_batch():
    samples = shapes().samples
    assert first_images(samples, 3).shape == (3, 3, 64, 64)
    assert torch.equal(first_images(samples, 3)[2], samples[2]["image"])
    assert len(first_images(samples, 99)) == len(samples)
    ragged = [{"image": torch.full((3, 4, width), float(width))} for width in (5, 6, 5, 5)]
    assert first_images(ragged, 3).unique().tolist() == [5]
    assert first_images(ragged, 3).shape == (2, 3, 4, 5)

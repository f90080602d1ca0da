"""A training that is broken off anywhere ends, after a resume, with the very same weights."""

import time
from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch.callbacks import EMAWeightAveraging
from torch import Tensor

from tests.processes import PATIENCE, ranks, together
from tests.training.resumed import checkpoints, data, train, trainer, training, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
    pytest.mark.filterwarnings("ignore:The dirpath has changed.*"),
]

SETTINGS: dict[str, dict[str, Any]] = {
    "as usual": {},
    "validation in mid-epoch": {"val_check_interval": 2},
    "accumulated gradients": {"accumulate_grad_batches": 2},
    "part of each epoch": {"limit_train_batches": 2},
    "a number of steps": {"max_epochs": -1, "max_steps": 7},
}


def fitted(
    folder: Path, path: Path | None = None, ema: bool = False, workers: int = 0, **settings: Any
) -> dict[str, Tensor]:
    module = training()
    callbacks = [EMAWeightAveraging(decay=0.8)] if ema else []
    run = trainer(checkpoints(folder), *callbacks, **settings)
    run.fit(module, data(num_workers=workers), ckpt_path=path)
    return weights(module)


def different(first: dict[str, Tensor], second: dict[str, Tensor]) -> list[str]:
    assert first.keys() == second.keys()
    return [name for name in first if not torch.equal(first[name], second[name])]


@pytest.mark.parametrize("name", SETTINGS)
def test_a_run_resumed_from_any_step_ends_as_the_unbroken_one(name: str, tmp_path: Path):
    settings = SETTINGS[name]
    unbroken = fitted(tmp_path / "a", **settings)
    paths = list((tmp_path / "a").glob("*.ckpt"))
    assert len(paths) >= 4
    for path in paths:
        assert not different(unbroken, fitted(tmp_path / "b", path, **settings)), path.stem


@pytest.mark.parametrize("step", [2, 3, 5])
def test_workers_that_have_run_ahead_do_not_spoil_the_place(step: int, tmp_path: Path):
    unbroken = fitted(tmp_path / "a")
    fitted(tmp_path / "b", workers=1)
    resumed = fitted(tmp_path / "c", tmp_path / "b" / f"{step}.ckpt", workers=1)
    assert not different(unbroken, resumed)


@pytest.mark.parametrize("step", [2, 3, 5])
def test_averaged_weights_go_on_from_where_they_were(step: int, tmp_path: Path):
    unbroken = fitted(tmp_path / "a", ema=True)
    assert different(unbroken, fitted(tmp_path / "b"))
    resumed = fitted(tmp_path / "c", tmp_path / "a" / f"{step}.ckpt", ema=True)
    assert not different(unbroken, resumed)


def killed_in_mid_epoch(folder: Path, devices: int) -> None:
    running = ranks(train, folder, devices, 1.0, devices=devices)
    deadline = time.monotonic() + PATIENCE
    while not (folder / "3.ckpt").exists():
        assert all(one.is_alive() for one in running), "it ended before it could be killed"
        assert time.monotonic() < deadline, "it hangs"
        time.sleep(0.01)
    for one in running:
        one.kill()
        one.join()


@pytest.mark.slow
@pytest.mark.parametrize("devices", [1, 2])
def test_a_run_killed_in_mid_epoch_and_run_again_ends_as_the_unbroken_one(
    devices: int, tmp_path: Path
):
    for name in "ab":
        (tmp_path / name).mkdir()
    together(train, tmp_path / "a", devices, devices=devices)
    killed_in_mid_epoch(tmp_path / "b", devices)
    assert not (tmp_path / "b" / "weights.pt").exists()
    together(train, tmp_path / "b", devices, devices=devices)
    unbroken, resumed = (torch.load(tmp_path / name / "weights.pt") for name in "ab")
    assert not different(unbroken, resumed)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"batch_size": 5}, "batch size 4; got batch size 5. Give what it was"),
        ({"seed": 1}, "seed 0; got seed 1"),
        ({"num_train": 14}, "training samples 13; got training samples 14"),
    ],
)
def test_other_batches_than_those_it_began_with_are_refused_in_mid_epoch(
    changed: dict[str, int], message: str, tmp_path: Path
):
    fitted(tmp_path / "a")
    keeping = checkpoints(tmp_path / "b")
    with pytest.raises(ValueError, match=message):
        trainer(keeping).fit(training(), data(**changed), ckpt_path=tmp_path / "a" / "2.ckpt")
    # A step's checkpoint is in mid-epoch even after the last step: a validation is due.
    once = trainer(max_epochs=1)
    once.fit(training(), data())
    once.save_checkpoint(tmp_path / "end.ckpt")
    trainer(keeping).fit(training(), data(**changed), ckpt_path=tmp_path / "end.ckpt")


def test_a_second_training_with_the_same_data_begins_at_the_beginning(tmp_path: Path):
    unbroken = fitted(tmp_path / "a")
    shapes, module, keeping = data(), training(), checkpoints(tmp_path / "b")
    trainer(keeping).fit(training(), shapes, ckpt_path=tmp_path / "a" / "2.ckpt")
    trainer().fit(module, shapes)
    assert not different(unbroken, weights(module))

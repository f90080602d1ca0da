"""A training that is broken off before its validation makes it up when it goes on."""

from pathlib import Path

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint

from project.callbacks import TrainingFolder
from project.storage.history import History
from tests.training.resumed import data, trainer, training

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*Checkpoint directory .* exists and is not empty.*"),
]
SETTINGS = {"after each epoch": {}, "in mid-epoch": {"val_check_interval": 2}}
STEPS = 6  # two epochs of three


class BreakOffError(Exception):
    """The training is broken off."""


class BreakingOff(Callback):
    """Break off when the checkpoint of a step is there, before anything that comes after it."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_validation_start(self, trainer, pl_module):
        self._end(trainer)

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        self._end(trainer)

    def on_train_epoch_end(self, trainer, pl_module):
        self._end(trainer)

    def _end(self, trainer):
        if trainer.global_step >= self.step and not trainer.sanity_checking:
            raise BreakOffError


def fit(folder: Path, *more: Callback, **settings) -> None:
    """Train with the last step and the best epoch kept, from the last step if it is there."""
    last = ModelCheckpoint(
        folder, every_n_train_steps=1, save_top_k=0, save_last=True, enable_version_counter=False
    )
    best = ModelCheckpoint(
        folder, "best", monitor="val/accuracy", mode="max", enable_version_counter=False
    )
    kept = TrainingFolder(str(folder / "run"), samples=2)
    run = trainer(kept, last, best, *more, log_every_n_steps=1, **settings)
    go_on = folder / "last.ckpt"
    run.fit(training(learning_rate=0.02), data(), ckpt_path=go_on if go_on.is_file() else None)


@pytest.mark.parametrize("name", SETTINGS)
def test_no_number_is_missing_and_the_best_is_the_same_wherever_it_was_broken_off(name, tmp_path):
    settings = SETTINGS[name]
    fit(tmp_path / "whole", **settings)
    whole = History.read(tmp_path / "whole/run/history.csv")
    best = torch.load(tmp_path / "whole/best.ckpt", weights_only=True)["state_dict"]
    assert len({point.step for point in whole.points if point.metric == "val/accuracy"}) >= 2
    for step in range(1, STEPS + 1):
        folder = tmp_path / str(step)
        with pytest.raises(BreakOffError):
            fit(folder, BreakingOff(step), **settings)
        fit(folder, **settings)
        assert History.read(folder / "run/history.csv").points == whole.points, step
        found = torch.load(folder / "best.ckpt", weights_only=True)["state_dict"]
        assert all(torch.equal(found[key], best[key]) for key in best), step
    fit(tmp_path / "whole", **settings)  # the same command once more: all is done
    assert History.read(tmp_path / "whole/run/history.csv").points == whole.points

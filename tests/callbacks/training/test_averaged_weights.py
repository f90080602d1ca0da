"""Averaged weights are what robust validation attacks and judges, and what a checkpoint holds."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from project.callbacks import AveragedWeights
from tests.training.resumed import data, trainer, training, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]


class Witness(Callback):
    """Average the weights of each step in float64, and note what validation looks at."""

    def __init__(self, decay: float) -> None:
        self.decay = decay
        self.average: dict[str, Tensor] = {}
        self.validated: list[dict[str, Tensor]] = []
        self.expected: list[dict[str, Tensor]] = []

    def on_train_batch_end(self, trainer: Any, module: nn.Module, *arguments: Any) -> None:
        now = {name: value.double() for name, value in weights(module.victim).items()}
        before = self.average or now
        self.average = {
            name: self.decay * before[name] + (1 - self.decay) * now[name] for name in now
        }

    def on_validation_batch_start(self, trainer: Any, module: nn.Module, *arguments: Any) -> None:
        if not trainer.sanity_checking:
            self.validated.append(weights(module.victim))
            self.expected.append(dict(self.average))


def best(folder: Path, **arguments: Any) -> ModelCheckpoint:
    return ModelCheckpoint(folder, "best", monitor="val/robust_accuracy", mode="max", **arguments)


def equal(found: dict[str, Tensor], expected: dict[str, Tensor]) -> bool:
    """Compare weights and statistics; the count of batches means nothing once averaged."""
    return all(
        torch.allclose(found[name].double(), expected[name], rtol=0, atol=1e-6)
        for name in expected
        if "num_batches" not in name
    )


def test_validation_attacks_and_judges_the_average_of_weights_and_statistics(tmp_path: Path):
    witness, module = Witness(0.8), training(schedule="constant")
    run = trainer(AveragedWeights(decay=0.8), witness)
    run.fit(module, data())
    assert len(witness.validated) == 2 * 2
    for found, expected in zip(witness.validated, witness.expected, strict=True):
        assert equal(found, expected)
    assert equal(weights(module.victim), witness.average)


def test_the_checkpoint_holds_the_average_that_was_judged_best(tmp_path: Path):
    witness = Witness(0.8)
    keeping = best(tmp_path)
    run = trainer(AveragedWeights(decay=0.8), witness, keeping, max_epochs=1)
    run.fit(training(schedule="constant"), data())
    content = torch.load(keeping.best_model_path, weights_only=False)["state_dict"]
    kept = {name.removeprefix("victim."): value for name, value in content.items()}
    assert equal(kept, witness.average)


def test_a_checkpoint_of_weights_alone_is_refused_since_it_would_hold_those_of_the_moment(
    tmp_path: Path,
):
    run = trainer(AveragedWeights(), best(tmp_path, save_weights_only=True))
    with pytest.raises(ValueError, match="not the averaged ones that validation judges"):
        run.fit(training(), data())

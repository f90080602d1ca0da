"""What a robust training keeps is its best epoch under attack."""

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from lightning.pytorch import Callback
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from project.training import ClassifierTraining
from project.training.robust import AdversarialLoss
from tests.training.resumed import data, trainer, training, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
]

CONFIGS = Path(__file__).parents[2] / "configs" / "train"
ROBUST = sorted((CONFIGS / "robust").glob("*.yaml"))


def checkpoints_of(config: Path) -> list[dict[str, Any]]:
    """Return the arguments of a config's checkpoints; those that change the data have none."""
    callbacks = yaml.safe_load(config.read_text()).get("trainer", {}).get("callbacks", [])
    return [part["init_args"] for part in callbacks if part["class_path"] == "ModelCheckpoint"]


@pytest.mark.parametrize("config", ROBUST, ids=lambda path: path.stem)
def test_every_robust_config_keeps_what_is_best_under_attack(config: Path):
    for kept in checkpoints_of(config):
        assert kept["monitor"] in ("val/robust_accuracy", "val/robust_miou")
        assert kept["mode"] == "max"


class Scripted(ClassifierTraining):
    """Clean accuracy rises with the epochs; robust accuracy is best in the second of three."""

    def measure(self, stage: Any, logits: Tensor, target: Tensor, robust: bool) -> None:
        scores = [0.1, 0.3, 0.2] if robust else [0.4, 0.6, 0.8]
        name = f"{stage}/{'robust_' if robust else ''}accuracy"
        self.log(name, scores[self.current_epoch], batch_size=len(target))


class Epochs(Callback):
    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []

    def on_train_epoch_end(self, trainer: Any, module: nn.Module) -> None:
        self.weights.append(weights(module))


def test_the_best_robust_epoch_is_kept_and_not_the_best_clean_one(tmp_path: Path):
    (arguments,) = checkpoints_of(CONFIGS / "robust" / "pgd.yaml")
    keeping = ModelCheckpoint(**arguments | {"dirpath": tmp_path})
    epochs, module = Epochs(), Scripted(training().victim, robust=AdversarialLoss())
    trainer(epochs, keeping, max_epochs=3).fit(module, data())
    kept = torch.load(keeping.best_model_path)["state_dict"]
    same = [all(torch.equal(kept[name], found[name]) for name in kept) for found in epochs.weights]
    assert same == [False, True, False]

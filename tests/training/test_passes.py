"""What a training step asks of the victim: no pass more than the method needs."""

from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from project.attacks import FGSM, PGD
from project.callbacks import AdversarialBatches, FreeAdversarialBatches
from project.data import ShapesData
from project.training import ClassifierTraining
from project.training.robust import AWP, TRADES, AdversarialLoss, RobustLoss
from project.victims import ClassificationVictim

STEPS = 3
pytestmark = [
    pytest.mark.filterwarnings("ignore:.*does not have many workers.*"),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
]


class Tally(torch.autograd.Function):
    """Counts passes forward and backward where it stands, and changes nothing."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, counted: dict[str, int], name: str) -> Tensor:
        ctx.counted, ctx.name = counted, name
        return values.view_as(values)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        ctx.counted[ctx.name] = ctx.counted.get(ctx.name, 0) + 1
        return gradient, None, None


class Counting(nn.Module):
    """A network that counts its forward passes, and backward ones to the images or the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 6)
        self.counted: dict[str, int] = {}

    def forward(self, images: Tensor) -> Tensor:
        self.counted["forward"] = self.counted.get("forward", 0) + 1
        weight = Tally.apply(self.head.weight, self.counted, "weights")
        hidden = self.norm(self.conv(Tally.apply(images, self.counted, "images")))
        return nn.functional.linear(torch.tanh(hidden).mean((2, 3)), weight)


def counted(callback: L.Callback, robust: RobustLoss) -> dict[str, int]:
    """Return the passes of one optimiser step."""
    network = Counting()
    trainer = L.Trainer(
        accelerator="cpu",
        max_steps=1,
        limit_val_batches=0,
        callbacks=[callback],
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    module = ClassifierTraining(ClassificationVictim(network, 6), robust=robust)
    trainer.fit(module, datamodule=ShapesData(size=16, num_train=4, batch_size=4))
    return network.counted


def pgd() -> AdversarialBatches:
    return AdversarialBatches({"pgd": PGD(steps=STEPS)})


def test_a_step_on_pgd_is_one_pass_per_step_of_the_attack_and_one_for_the_weights():
    passes = {"forward": STEPS + 1, "images": STEPS, "weights": 1}
    assert counted(pgd(), AdversarialLoss()) == passes


def test_trades_asks_once_more_for_the_clean_images():
    passes = {"forward": STEPS + 2, "images": STEPS, "weights": 2}
    assert counted(pgd(), TRADES()) == passes


def test_awp_asks_once_more():
    passes = {"forward": STEPS + 2, "images": STEPS, "weights": 2}
    assert counted(pgd(), AWP(AdversarialLoss())) == passes


def test_training_for_free_is_one_pass_for_both():
    free = FreeAdversarialBatches({"fgsm": FGSM()}, replays=2)
    assert counted(free, AdversarialLoss()) == {"forward": 1, "images": 1, "weights": 1}

"""Adversarial training makes victims robust, against an attack that it never used."""

import pytest
import torch
from lightning.pytorch import Trainer, seed_everything

from project.attacks import PGD
from project.callbacks import AdversarialBatches
from project.data import ShapesData
from project.training import ClassifierTraining
from project.training.robust import AdversarialLoss
from project.victims import TimmVictim
from tests.training.robust_scene import IGNORED, QUIET

EPS = 4 / 255
MARGIN = 0.15
"""By which robust accuracy has to rise; three standard errors of a share of 96 images."""

pytestmark = [
    pytest.mark.slow,
    *(pytest.mark.filterwarnings(ignored) for ignored in IGNORED),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
]


def accuracy_under_pgd_50(robust: bool) -> float:
    """Train on shapes, on clean images or on those of a PGD-3, and attack with 50 steps."""
    seed_everything(0, verbose=False)
    network = {"channels": [16, 32, 64, 128], "stem_width": 16}
    victim = TimmVictim("resnet10t", num_classes=6, model_args=network)
    training = ClassifierTraining(
        victim,
        learning_rate=0.004,
        weight_decay=0.05,
        robust=AdversarialLoss() if robust else None,
    )
    three_steps = PGD(eps=EPS, step_size=EPS / 2, steps=3)
    data = ShapesData(
        "classification", size=32, num_train=1000, num_val=16, num_test=96, batch_size=32
    )
    Trainer(
        max_epochs=10,
        limit_val_batches=0,
        callbacks=[AdversarialBatches({"pgd": three_steps})] if robust else [],
        **QUIET,
    ).fit(training, datamodule=data)
    data.setup("test")
    many_steps, right = PGD(eps=EPS, step_size=EPS / 8, steps=50), 0
    for batch in data.test_dataloader()[0]:
        images = many_steps(victim, batch["image"], batch["target"], batch["index"])
        with torch.no_grad():
            right += int((victim.eval()(images).argmax(1) == batch["target"]).sum())
    return right / len(data.samples)


def test_adversarial_training_raises_accuracy_under_an_attack_it_never_used_by_the_margin():
    assert accuracy_under_pgd_50(robust=True) >= accuracy_under_pgd_50(robust=False) + MARGIN

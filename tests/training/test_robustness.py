"""Adversarial training makes victims robust, against an attack that it never used."""

from typing import Any

import numpy as np
import pytest
import torch
from lightning.pytorch import Trainer, seed_everything
from torch import nn

from project.attacks import PGD
from project.callbacks import AdversarialBatches
from project.data import AttackDataModule
from project.data.decoding import Pixels
from project.data.eval_transform import Frame
from project.data.sample_set import SampleSet
from project.training import ClassifierTraining
from project.training.robust import AdversarialLoss
from project.victims import ClassificationVictim
from tests.training.robust_scene import IGNORED, QUIET

EPS = 4 / 255
MARGIN = 0.6
"""By which robust accuracy has to rise; it rises by 0.82, whatever the seed."""

pytestmark = [
    *(pytest.mark.filterwarnings(ignored) for ignored in IGNORED),
    pytest.mark.filterwarnings("ignore:.*isinstance.treespec, LeafSpec.. is deprecated.*"),
    pytest.mark.filterwarnings("ignore:.*is smaller than the logging interval.*"),
]


class TwoSigns(SampleSet):
    """Images of two classes that differ in two ways, as in Tsipras et al., ICLR 2019.

    The brightness tells the class of five images in six, and no perturbation of EPS can change
    that; a faint pattern always tells it, and perturbations of EPS turn it round.
    """

    task = "classification"
    class_names = ("dark", "bright")

    def read(self, index: int) -> tuple[Pixels, int]:
        draw = np.random.default_rng((len(self.names), index))
        label = index % 2
        side = 2 * label - 1
        brightness = 25 * (side if draw.random() < 5 / 6 else -side)
        pattern = 3 * side * np.random.default_rng(0).choice((-1, 1), (12, 12, 3))
        image = 128 + brightness + pattern + draw.normal(0, 8, (12, 12, 3))
        return image.round().clip(0, 255).astype(np.uint8), label

    def content(self) -> list[Any]:
        return [len(self.names)]

    def where(self, index: int) -> str:
        return self.name(index)


class TwoSignsData(AttackDataModule):
    """A thousand images to train on, 128 to attack."""

    def build(self, split: str | None, frame: Frame, limit: int | None) -> TwoSigns:
        count = 1024 if split == "train" else 128
        return TwoSigns([str(index) for index in range(count)], frame, limit)


def accuracy_under_pgd_50(robust: bool) -> float:
    """Train on clean images or on those of a PGD-3, and attack with 50 steps."""
    seed_everything(0, verbose=False)
    layers = [nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten()]
    victim = ClassificationVictim(nn.Sequential(*layers, nn.Linear(8 * 12 * 12, 2)), 2)
    training = ClassifierTraining(
        victim, learning_rate=0.01, robust=AdversarialLoss() if robust else None
    )
    three_steps = PGD(eps=EPS, step_size=EPS / 2, steps=3)
    data = TwoSignsData("test", batch_size=128, verify=False)
    Trainer(
        max_epochs=8,
        limit_val_batches=0,
        callbacks=[AdversarialBatches({"pgd": three_steps})] if robust else [],
        **QUIET,
    ).fit(training, datamodule=data)
    data.setup("test")
    (test,) = data.test_dataloader()[0]
    many_steps = PGD(eps=EPS, step_size=EPS / 8, steps=50)
    images = many_steps(victim, test["image"], test["target"], test["index"])
    with torch.no_grad():
        return float((victim.eval()(images).argmax(1) == test["target"]).float().mean())


def test_adversarial_training_raises_accuracy_under_an_attack_it_never_used_by_the_margin():
    assert accuracy_under_pgd_50(robust=True) >= accuracy_under_pgd_50(robust=False) + MARGIN

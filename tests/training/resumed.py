"""A small training that can be broken off: dropout, BatchNorm, augmentation, random attacks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from project.attacks import PGD
from project.callbacks import AdversarialBatches, StepRandomness
from project.data import Augmentation, ShapesData
from project.training import ClassifierTraining
from project.training.robust import AdversarialLoss
from project.victims import ClassificationVictim


def data(**arguments: Any) -> ShapesData:
    sizes = {"size": 16, "num_train": 13, "num_val": 8, "batch_size": 4} | arguments
    return ShapesData(augment=Augmentation(flip=0.5, colour_jitter=0.3), **sizes)


def training(**arguments: Any) -> ClassifierTraining:
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            nn.Conv2d(3, 4, 3, stride=2),
            nn.BatchNorm2d(4),
            nn.ReLU(),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(4 * 7 * 7, 6),
        )
    victim = ClassificationVictim(network, 6)
    return ClassifierTraining(victim, robust=AdversarialLoss(), **arguments)


def checkpoints(folder: Path) -> ModelCheckpoint:
    """Keep every step."""
    return ModelCheckpoint(
        folder, "{step}", every_n_train_steps=1, save_top_k=-1, auto_insert_metric_name=False
    )


def trainer(*callbacks: Callback, **arguments: Any) -> Trainer:
    attack = PGD(eps=8 / 255, step_size=8 / 255, steps=1)
    settings = {"max_epochs": 2, "accelerator": "cpu", "devices": 1} | arguments
    return Trainer(
        **settings,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=any(isinstance(part, ModelCheckpoint) for part in callbacks),
        use_distributed_sampler=False,
        callbacks=[AdversarialBatches({"fgsm": attack}), StepRandomness(), *callbacks],
    )


def weights(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def train(folder: Path, devices: int, pause: float = 0.0) -> None:
    """Train, from the last checkpoint if there is one; write down the weights at the end."""
    last = sorted(folder.glob("*.ckpt"), key=lambda path: int(path.stem))
    run = trainer(checkpoints(folder), Slowly(pause), devices=devices, strategy=strategy(devices))
    module = training()
    run.fit(module, data(num_train=41), ckpt_path=last[-1] if last else None)
    if run.global_rank == 0:
        torch.save(weights(module), folder / "weights.pt")


class Slowly(Callback):
    """Leave time to be killed in."""

    def __init__(self, pause: float) -> None:
        self.pause = pause

    def on_train_batch_start(self, *arguments: Any) -> None:
        time.sleep(self.pause)


def strategy(devices: int) -> str:
    return "ddp" if devices > 1 else "auto"

"""A small robust training: networks with BatchNorm, dropout and frozen layers, on shapes."""

from collections.abc import Sequence
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from project.attacks import Attack
from project.core.randomness import derived_seed
from project.data import ShapesData
from project.data.augmentation import Augmentation
from project.training import ClassifierTraining, SegmenterTraining, VictimTraining
from project.training.robust import RobustLoss
from project.victims import ClassificationVictim, SegmentationVictim, Task, Victim

CLASSES = {"classification": 6, "segmentation": 7}
QUIET = {
    "logger": False,
    "enable_progress_bar": False,
    "enable_model_summary": False,
    "enable_checkpointing": False,
    "accelerator": "cpu",
    "devices": 1,
    "use_distributed_sampler": False,
}
IGNORED = [
    "ignore:.*does not have many workers.*",
    "ignore:Found .* in eval mode at the start of training",
    "ignore:You defined a `validation_step` but have no",
]
Batch = dict[str, Tensor]


class FrozenBatchNorm(nn.BatchNorm2d):
    """Stays in eval mode whatever it is told."""

    def train(self, mode: bool = True) -> "FrozenBatchNorm":
        return super().train(False)


def make_victim(task: Task, seed: int = 5) -> Victim:
    """Return an untrained victim whose second and third layer are frozen."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        frozen = [nn.Conv2d(8, 8, 3, padding=1), FrozenBatchNorm(8).eval()]
        for layer in frozen:
            layer.requires_grad_(False)
        first = nn.Conv2d(3, 8, 3, padding=1, bias=False)
        body = [first, nn.BatchNorm2d(8), nn.SiLU(), *frozen, nn.SiLU()]
        head = nn.Conv2d(8, CLASSES[task], 1)
        if task == "segmentation":
            return SegmentationVictim(nn.Sequential(*body, nn.Dropout(0.2), head), CLASSES[task])
        pooled = [nn.AdaptiveAvgPool2d(2), nn.Dropout(0.2), nn.Flatten(), nn.Linear(32, 6)]
        return ClassificationVictim(nn.Sequential(*body, *pooled), CLASSES[task])


def make_training(task: Task, robust: RobustLoss | None, **arguments: Any) -> VictimTraining:
    """Return a training by plain SGD of constant rate, without weight decay."""
    kind = ClassifierTraining if task == "classification" else SegmenterTraining
    plain: dict[str, Any] = {"optimizer": "sgd", "schedule": "constant", "weight_decay": 0.0}
    return kind(make_victim(task), robust=robust, learning_rate=0.1, **plain, **arguments)


def make_data(task: Task, **arguments: Any) -> ShapesData:
    """Return 16 training shapes in batches of 4, augmented; 7 to validate and 7 to test on."""
    sizes = {"size": 16, "num_train": 16, "num_val": 7, "num_test": 7, "batch_size": 4}
    augment = Augmentation(flip=0.5, colour_jitter=0.3)
    return ShapesData(task, **({"augment": augment, "verify": False} | sizes | arguments))


def fit(
    training: VictimTraining, data: ShapesData, callbacks: Sequence[Callback], **arguments: Any
) -> VictimTraining:
    """Train for two epochs without validation, unless told otherwise."""
    usual = {"max_epochs": 2, "limit_val_batches": 0, "callbacks": list(callbacks)}
    Trainer(**(QUIET | usual | arguments)).fit(training, data)
    return training


class Seeder(Callback):
    """Seeds dropout, step by step, before anything else happens to a batch."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        seed_step(trainer.current_epoch, batch_idx)


def seed_step(epoch: int, number: int) -> None:
    torch.manual_seed(1000 * epoch + number)


class Recorder(Callback):
    """Keeps all training batches as they come to the training step."""

    def __init__(self) -> None:
        self.batches: list[Batch] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.batches.append({name: values.clone() for name, values in batch.items()})


def of_epoch(attack: Attack, epoch: int) -> Attack:
    """Return the attack with the draws of an epoch."""
    return attack.reseeded(derived_seed(attack.seed, epoch))

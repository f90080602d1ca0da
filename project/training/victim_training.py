"""Training a victim: what classifiers and segmenters share."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from project.errors import InputError
from project.training.optimisation import make_optimizer, make_schedule
from project.training.training import Batch, Training
from project.victims import Task, Victim

Stage = Literal["val", "test"]
Optimizer = Literal["adamw", "sgd"]
Schedule = Literal["one_cycle", "cosine", "constant"]


class VictimTraining(Training):
    """Fit a victim to batches {image, target, index}.

    Its checkpoints load as a victim's ``checkpoint`` without conversion.

    Args:
        victim: the network to train, with its preprocessing.
        learning_rate: the schedule's peak.
        weight_decay: on matrices and kernels only.
        optimizer: AdamW, or SGD with Nesterov momentum.
        schedule: course of the learning rate over all steps of the run.

    Raises:
        ValueError: if the victim does another task.
    """

    task: Task

    def __init__(
        self,
        victim: Victim,
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        optimizer: Optimizer = "adamw",
        schedule: Schedule = "one_cycle",
    ) -> None:
        super().__init__()
        if victim.task != self.task:
            raise InputError(
                f"{type(self).__name__} trains victims for {self.task}, got one for {victim.task}. "
                "Choose the other training or another victim."
            )
        # The same numbers up to rounding, and a third cheaper on CPUs as on tensor cores.
        self.victim: Victim = victim.to(memory_format=torch.channels_last)
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.optimizer: Optimizer = optimizer
        self.schedule: Schedule = schedule

    def forward(self, images: Tensor) -> Tensor:
        """Return the victim's logits of images in [0, 1]."""
        logits: Tensor = self.victim(images)
        return logits

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar to minimise: the place to use ``batch["adversarial"]``."""
        return self.criterion(self(batch["image"]), batch["target"])

    @abstractmethod
    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of logits (N, K, …) for a target (N, …)."""

    @abstractmethod
    def measure(self, stage: Stage, logits: Tensor, target: Tensor) -> None:
        """Add a batch to the stage's metrics."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one clean batch."""
        self.measure("val", self(batch["image"]), batch["target"])

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Measure one clean batch."""
        self.measure("test", self(batch["image"]), batch["target"])

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser with a schedule that steps with it."""
        optimizer = make_optimizer(
            self.victim.parameters(), self.optimizer, self.learning_rate, self.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler: Any = make_schedule(optimizer, self.schedule, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

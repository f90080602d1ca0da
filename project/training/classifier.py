"""Training a classifier."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torchmetrics.classification import MulticlassAccuracy

from project.training.victim_training import Optimizer, Schedule, Stage, VictimTraining
from project.victims import Victim


class ClassifierTraining(VictimTraining):
    """Cross-entropy training; logs ``val/accuracy`` and ``test/accuracy`` over the whole set.

    Args:
        victim: a classification victim.
        learning_rate: the schedule's peak.
        weight_decay: on matrices and kernels only.
        optimizer: AdamW, or SGD with Nesterov momentum.
        schedule: course of the learning rate.
        label_smoothing: weight of the uniform distribution in the target, in [0, 1).
    """

    task = "classification"

    def __init__(
        self,
        victim: Victim,
        *,
        learning_rate: float = 1e-3,
        weight_decay: float = 0.01,
        optimizer: Optimizer = "adamw",
        schedule: Schedule = "one_cycle",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            victim,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
        )
        self.label_smoothing = label_smoothing
        self.val_accuracy = MulticlassAccuracy(victim.num_classes, average="micro")
        self.test_accuracy = MulticlassAccuracy(victim.num_classes, average="micro")

    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits (N, K)."""
        return F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)

    def measure(self, stage: Stage, logits: Tensor, target: Tensor) -> None:
        """Add a batch to the stage's accuracy."""
        accuracy = self.val_accuracy if stage == "val" else self.test_accuracy
        accuracy(logits, target)
        self.log(f"{stage}/accuracy", accuracy, prog_bar=True, batch_size=len(target))

"""Training a classifier."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn import ModuleDict
from torchmetrics.classification import MulticlassAccuracy

from project.core.answers import answered
from project.training.batch_norm import BatchNorm
from project.training.optimisation import Optimizer, Schedule
from project.training.robust import RobustLoss
from project.training.victim_training import Stage, VictimTraining
from project.victims import Victim


class ClassifierTraining(VictimTraining):
    """Cross-entropy training; logs ``val/accuracy`` and ``test/accuracy`` over the whole set.

    With adversarial images in the batches also ``val/robust_accuracy``, ``test/robust_accuracy``.

    Args:
        victim: a classification victim.
        learning_rate: the schedule's peak.
        weight_decay: on matrices and kernels only, with ``heavy_ball`` on all.
        optimizer: AdamW, SGD with Nesterov's momentum, or ``heavy_ball``; see
            :class:`~project.training.victim_training.VictimTraining`.
        schedule: course of the learning rate, by name or as ``Piecewise``, ``Cyclic`` or
            ``Polynomial``.
        robust: the loss of batches with adversarial images; None trains on the clean ones.
        batch_norm: whose statistics eval mode uses.
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
        robust: RobustLoss | None = None,
        batch_norm: BatchNorm = "both",
        label_smoothing: float = 0.0,
    ) -> None:
        super().__init__(
            victim,
            learning_rate=learning_rate,
            weight_decay=weight_decay,
            optimizer=optimizer,
            schedule=schedule,
            robust=robust,
            batch_norm=batch_norm,
        )
        self.label_smoothing = label_smoothing
        # Registered under fixed names, so that Lightning moves, sums and resets them.
        self.accuracies = ModuleDict(
            {
                name: MulticlassAccuracy(victim.num_classes, average="micro")
                for name in ("val_clean", "val_robust", "test_clean", "test_robust")
            }
        )

    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean cross-entropy of logits (N, K)."""
        return F.cross_entropy(logits, target, label_smoothing=self.label_smoothing)

    def measure(self, stage: Stage, logits: Tensor, target: Tensor, robust: bool) -> None:
        """Add a batch to one of the stage's accuracies."""
        accuracy = self.accuracies[f"{stage}_{'robust' if robust else 'clean'}"]
        assert isinstance(accuracy, MulticlassAccuracy)
        kept = answered(logits)  # others are no predictions, and in no rate
        accuracy(logits[kept], target[kept])
        name = f"{stage}/{'robust_' if robust else ''}accuracy"
        self.log(name, accuracy, prog_bar=True, batch_size=len(target))

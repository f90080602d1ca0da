"""Training a victim: what classifiers and segmenters share."""

from __future__ import annotations

from abc import abstractmethod
from itertools import chain
from typing import Any, Literal

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor

from project.core.errors import InputError
from project.core.logits import logits_of
from project.data.loader import Batch
from project.training.batch_norm import BatchNorm, Kind, make_policy, share_buffers
from project.training.optimisation import Optimizer, Schedule, make_optimizer, make_schedule
from project.training.robust import RobustLoss
from project.training.robust.robust_loss import Learner
from project.training.training import Training
from project.victims import Task, Victim

Stage = Literal["val", "test"]


class VictimTraining(Training):
    """Train a victim on batches {image, target, index}.

    Its checkpoints load as a victim's ``checkpoint`` without conversion.

    Args:
        victim: the network to train, with its preprocessing.
        learning_rate: the schedule's peak.
        weight_decay: weight decay of matrices and kernels only, with ``heavy_ball`` of all.
        optimizer: AdamW; SGD with Nesterov's momentum; or ``heavy_ball``, SGD as most published
            robust trainings have it, see :func:`~project.training.optimisation.make_optimizer`.
        schedule: course of the learning rate over all steps of the run, by name, or ``Piecewise``,
            ``Cyclic`` or ``Polynomial``.
        robust: the loss of batches with adversarial images, which the callback
            ``AdversarialBatches`` puts there; None trains on the clean ones.
        batch_norm: whose statistics eval mode uses, those of ``both`` kinds of images, of
            ``clean`` or of ``adversarial`` ones; ``dual`` gives clean ones layers of their own in
            training, see :class:`~project.training.batch_norm.DualBatchNorm`.

    Raises:
        ValueError: if the victim does another task, or has no BatchNorm to double.
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
        robust: RobustLoss | None = None,
        batch_norm: BatchNorm = "both",
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
        self.robust = robust
        self.batch_norm: BatchNorm = batch_norm
        self.batch_norm_policy = make_policy(batch_norm, self.victim)

    def setup(self, stage: str) -> None:
        """Check that the victim fits the data, before anything runs."""
        self.check_victim(self.victim)
        if stage == "fit":
            self.check_batch()

    def forward(self, images: Tensor) -> Tensor:
        """Return the victim's logits of images in [0, 1]."""
        return logits_of(self.victim(images))

    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar to minimise."""
        if self.robust is None:
            loss = self.criterion(self.answer(batch["image"], "clean"), batch["target"])
        else:
            if "adversarial" not in batch:
                raise InputError(
                    f"{type(self.robust).__name__} needs adversarial images, got batches without. "
                    "Add the callback AdversarialBatches to the trainer, or leave model.robust out."
                )
            learner = Learner(self.answer, self.criterion, self.victim, self.current_epoch)
            loss = self.robust(learner, batch)
        self.batch_norm_policy.check()
        return loss

    def on_after_backward(self) -> None:
        """Broadcast BatchNorm statistics and other buffers, so that all ranks have one victim."""
        share_buffers(self.victim)

    def answer(self, images: Tensor, kind: Kind) -> Tensor:
        """Return the logits of images of one kind in a training forward pass."""
        logits: Tensor = self.batch_norm_policy(self.victim, images, kind)
        return logits

    @abstractmethod
    def criterion(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the mean loss of logits (N, K, …) for a target (N, …)."""

    @abstractmethod
    def measure(self, stage: Stage, logits: Tensor, target: Tensor, robust: bool) -> None:
        """Add a batch to the stage's metrics of clean or of adversarial images."""

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate one batch, and its adversarial images if there are any."""
        self._evaluate("val", batch)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Evaluate one batch, and its adversarial images if there are any."""
        self._evaluate("test", batch)

    def _evaluate(self, stage: Stage, batch: Batch) -> None:
        self.measure(stage, self(batch["image"]), batch["target"], robust=False)
        if "adversarial" in batch:
            self.measure(stage, self(batch["adversarial"]), batch["target"], robust=True)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Return the optimiser, with a schedule that advances at every step."""
        parameters = chain(self.victim.parameters(), self.batch_norm_policy.parameters())
        optimizer = make_optimizer(
            parameters, self.optimizer, self.learning_rate, self.weight_decay
        )
        steps = int(self.trainer.estimated_stepping_batches)
        scheduler: Any = make_schedule(optimizer, self.schedule, steps)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "step"},
        }

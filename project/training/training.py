"""The base class of ``train.py``'s trainings: a LightningModule with a loss of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lightning.pytorch import LightningModule
from torch import Tensor

from project.data.datamodule import AttackDataModule
from project.data.loader import Batch
from project.victims import Victim, VictimCheckError
from project.victims.check import misfits


class Training(LightningModule, ABC):
    """Train a network on batches {image, target, index}."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar to minimise."""

    def check_victim(self, victim: Victim) -> None:
        """Require that a victim fits the data, if the trainer has a data module.

        Raises:
            VictimCheckError: if it does another task, or has another number of classes.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, AttackDataModule):
            for failure in misfits(victim, data.samples.task, data.num_classes):
                raise VictimCheckError(f"the victim {failure}")

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return and log the loss of one batch."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["image"]))
        return loss

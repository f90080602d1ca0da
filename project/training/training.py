"""The base class of ``train.py``'s trainings: a LightningModule with a loss of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from lightning.pytorch import LightningModule
from torch import Tensor

from project.data.datamodule import AttackDataModule
from project.data.loader import Batch
from project.training.batch_norm import require_several_values, single_values_told
from project.training.validation_due import note_validation_due
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

    def check_batch(self) -> None:
        """Require that the network can be trained on batches of the size that the data come in.

        Raises:
            InputError: if it would normalise a single value.
        """
        data = self.trainer.datamodule  # type: ignore[attr-defined]
        if isinstance(data, AttackDataModule) and data.training_batch == 1:
            require_several_values(self, data.training_example())

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return and log the loss of one batch."""
        with single_values_told():  # loaders that are not the project's were not checked before
            loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["image"]))
        return loss

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Note whether a validation is due that a resumed training must make up."""
        note_validation_due(self.trainer, checkpoint)

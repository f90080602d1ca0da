"""What ``train.py`` can train: a LightningModule with a loss of a batch."""

from __future__ import annotations

from abc import ABC, abstractmethod

from lightning.pytorch import LightningModule
from torch import Tensor

from project.data.batch import Batch


class Training(LightningModule, ABC):
    """Fit a network to batches {image, target, index}."""

    @abstractmethod
    def loss(self, batch: Batch) -> Tensor:
        """Return the scalar to minimise."""

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return and log the loss of one batch."""
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True, batch_size=len(batch["image"]))
        return loss

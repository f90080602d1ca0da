"""Seeding each training step by itself, so that its draws do not depend on earlier ones."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from project.core.randomness import derived_seed


class StepRandomness(L.Callback):
    """Key torch's global randomness (dropout, stochastic depth) by epoch, batch and process.

    So a run that resumes in mid-epoch has the same draws as an uninterrupted one, and processes
    drop different units. Attacks, order and augmentation have keys of their own.

    Args:
        seed: the key of all draws.
    """

    def __init__(self, seed: int = 0) -> None:
        self.seed = seed

    def on_train_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: dict[str, Tensor],
        batch_idx: int,
    ) -> None:
        """Seed the generators of all devices."""
        place = (trainer.current_epoch, batch_idx, trainer.global_rank)
        torch.manual_seed(derived_seed("step", self.seed, *place))

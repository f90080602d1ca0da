"""A progress bar that says what is attacked."""

from __future__ import annotations

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import TQDMProgressBar

from project.evaluation import TransferEvaluation


class PassProgressBar(TQDMProgressBar):
    """Lightning's bar, with the pass (attack on source) instead of the dataloader's number."""

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Name the pass when its first batch comes."""
        super().on_test_batch_start(trainer, pl_module, batch, batch_idx, dataloader_idx)
        if batch_idx == 0 and isinstance(pl_module, TransferEvaluation):
            self.test_progress_bar.set_description(str(pl_module.plan[dataloader_idx]))

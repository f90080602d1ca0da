"""An exponential moving average of the weights, used in validation and checkpoints."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from project.core.errors import InputError


class AveragedWeights(EMAWeightAveraging):
    r"""Average all weights and BatchNorm statistics: $$\bar w \leftarrow d \bar w + (1 - d) w$$.

    Lightning's ``EMAWeightAveraging``, after every optimiser step: the average takes the weights'
    place in validation, where it is attacked too, in checkpoints, and at the end of the training;
    in training batches the current weights are attacked. Added to Lightning's: checkpoints that
    would not hold the average are refused.

    Args:
        decay: d, in [0, 1); the average reaches back over 1 / (1 - d) steps, 0.999 over a thousand.

    Raises:
        ValueError: if a ModelCheckpoint saves weights alone: for those Lightning does not ask
            callbacks what to save.
    """

    def __init__(self, decay: float = 0.999) -> None:
        if not 0 <= decay < 1:
            raise InputError(f"decay must be in [0, 1), got {decay}.")
        super().__init__(decay=decay)
        self.decay = decay

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Start the average, and check that checkpoints will hold it."""
        super().setup(trainer, pl_module, stage)
        kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        if stage == "fit" and any(checkpoint.save_weights_only for checkpoint in kept):
            raise InputError(
                "a checkpoint of weights alone holds those of the moment, not the averaged ones "
                "that validation judges, got a ModelCheckpoint with save_weights_only true. Set "
                "it to false."
            )

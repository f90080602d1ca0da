"""A running average of the weights, which is what validation judges and checkpoints hold."""

from __future__ import annotations

import lightning as L
from lightning.pytorch.callbacks import EMAWeightAveraging, ModelCheckpoint

from project.core.errors import InputError


class AveragedWeights(EMAWeightAveraging):
    r"""Average all weights and BatchNorm statistics: $$\bar w \leftarrow d \bar w + (1 - d) w$$.

    Lightning's ``EMAWeightAveraging``, after every optimiser step: the average takes the weights'
    place in validation, where it is attacked too, in checkpoints, and at the end of the training;
    training batches attack the weights of the moment. What is added is a refusal of checkpoints
    that would not hold the average.

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
        """Make the average, and see that checkpoints will hold it."""
        super().setup(trainer, pl_module, stage)
        kept = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
        if stage == "fit" and any(checkpoint.save_weights_only for checkpoint in kept):
            raise InputError(
                "a checkpoint of weights alone holds those of the moment, not the averaged ones "
                "that validation judges, got a ModelCheckpoint with save_weights_only true. Set "
                "it to false."
            )

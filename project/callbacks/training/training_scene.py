"""The module and datamodule that callbacks of robust training need."""

from __future__ import annotations

import lightning as L

from project.core.errors import InputError
from project.data.datamodule import AttackDataModule
from project.training import VictimTraining


def training_scene(
    callback: L.Callback, trainer: L.Trainer, module: L.LightningModule
) -> tuple[VictimTraining, AttackDataModule]:
    """Return the training's module and datamodule.

    Raises:
        ValueError: if they are of other classes than the callback works on.
    """
    data = trainer.datamodule  # type: ignore[attr-defined]
    if isinstance(module, VictimTraining) and isinstance(data, AttackDataModule):
        return module, data
    raise InputError(
        f"{type(callback).__name__} works on a VictimTraining and one of the project's data "
        f"modules, got {type(module).__name__} and {type(data).__name__}. Leave it out."
    )

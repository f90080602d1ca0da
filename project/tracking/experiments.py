"""Helpers for W&B runs: finding them among loggers, and logging files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger, WandbLogger


def experiments(loggers: Iterable[Logger]) -> list[Any]:
    """Return the W&B runs among a trainer's loggers, without disabled ones."""
    found: list[Any] = [x.experiment for x in loggers if isinstance(x, WandbLogger)]
    return [experiment for experiment in found if not experiment.disabled]


def log_files(experiment: Any, name: str, kind: str, folder: Path, files: Iterable[str]) -> None:
    """Log the existing files among those named, as one artifact.

    Args:
        experiment: W&B's run, whose id ends the artifact's name.
        name: the artifact's name before the id.
        kind: the artifact's type.
        folder: the files' folder.
        files: their paths in the folder, which the artifact keeps.
    """
    artifact = wandb.Artifact(f"{name}-{experiment.id}", type=kind)
    found = [file for file in files if (folder / file).is_file()]
    for file in found:
        artifact.add_file(str(folder / file), file)
    if found:
        experiment.log_artifact(artifact)

"""The logger that keeps what is logged, for a training run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from project.storage.history import History


class HistoryLogger(Logger):
    """Keeps all scalars that the trainer's loggers are given.

    A logger is where they all meet, a callback's and a module's alike, with their steps.

    Lightning's ``CSVLogger``, the default of train.py, cannot take its place: the history is kept
    whichever loggers a user has chosen, goes on in one file when a run is resumed, without the
    steps that come again, and has the epoch of every number. Nor can this one be the default:
    the other's versioned folders hold the config and the checkpoints of trainings without a
    ``TrainingFolder``.

    Args:
        folder: where the trainer may put files, if it is the trainer's first logger.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.history = History()
        self.epoch = 0

    @property
    def name(self) -> str:
        """None: the folder is named whole."""
        return ""

    @property
    def version(self) -> str:
        """None: likewise."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder."""
        return self.folder

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Keep the metrics of a step."""
        told = {name: value for name, value in metrics.items() if name != "epoch"}
        self.history.add(step or 0, self.epoch, told)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Pass over: the config is kept whole."""

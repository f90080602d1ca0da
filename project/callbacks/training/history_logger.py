"""A logger that records all scalars for a training run's folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lightning.pytorch import Trainer
from lightning.pytorch.loggers import Logger
from lightning.pytorch.utilities import rank_zero_only

from project.storage.history import History


class HistoryLogger(Logger):
    """Records all scalars that the trainer's loggers receive.

    It is a logger because loggers receive the scalars of callbacks and modules alike, with steps.

    Lightning's ``CSVLogger``, the default of train.py, cannot take its place: the history is kept
    whichever loggers a user has chosen, goes on in one file when a run is resumed, without the
    steps that come again, and has the epoch of every number. Nor can this one be the default:
    the other's versioned folders hold the config and the checkpoints of trainings without a
    ``TrainingFolder``.

    Args:
        folder: folder for the trainer's files, if this is the trainer's first logger.
    """

    def __init__(self, folder: str) -> None:
        super().__init__()
        self.folder = folder
        self.history = History()
        self.epoch = 0

    @property
    def name(self) -> str:
        """Empty: the folder's path is already complete."""
        return ""

    @property
    def version(self) -> str:
        """Empty, likewise."""
        return ""

    @property
    def save_dir(self) -> str:
        """The folder for the trainer's files."""
        return self.folder

    @rank_zero_only
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Record the metrics of a step."""
        told = {name: value for name, value in metrics.items() if name != "epoch"}
        self.history.add(step or 0, self.epoch, told)

    def log_step_so_far(self, trainer: Trainer) -> None:
        """Record what the running step has logged, which Lightning passes on only after it.

        A checkpoint at the end of a step comes before that, and a resumed run does not repeat the
        step. What is then logged once more replaces itself.
        """
        connector, loop = trainer._logger_connector, trainer.fit_loop.epoch_loop
        if trainer.training and trainer._results is not None and connector.should_update_logs:
            told = {name: float(value) for name, value in connector.metrics["log"].items()}
            self.log_metrics(told, loop._batches_that_stepped)

    def log_hyperparams(self, *args: Any, **kwargs: Any) -> None:
        """Do nothing: the folder holds the whole config already."""

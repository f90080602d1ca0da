"""The callback that leaves a training run's folder behind: history, samples and report."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path
from typing import Any

import lightning as L

from project.callbacks.history_logger import HistoryLogger
from project.callbacks.scene import training_scene
from project.callbacks.training_samples import SampleFolder
from project.callbacks.training_tracking import track_config, track_samples, track_training
from project.callbacks.versions import versions
from project.core.errors import InputError
from project.data.batch import Batch
from project.report.training import build_training_report, epochs_of
from project.storage.files import replace_file
from project.storage.history import History
from project.storage.rows import remove_path
from project.training import VictimTraining

_PACKAGES = ("mirage-attacks", "torch", "lightning", "torchmetrics", "timm")
_BY_EPOCH = ("samples", "slices")


class TrainingFolder(L.Callback):
    """Write what a training run does to a folder: all that is logged, samples, and a report.

    The report is made anew after every validation. A run that is resumed goes on in its folder
    with what was there at its checkpoint; a new one replaces what it finds.

    Args:
        folder: where to; one per run.
        title: heading of the report.
        samples: how many validation images to keep, evenly spaced: the same ones each time, with
            their adversarial images where a callback makes them.
        every_n_epochs: how often to keep them.
    """

    def __init__(
        self,
        folder: str = "runs/train/victim",
        title: str = "Training",
        samples: int = 6,
        every_n_epochs: int = 1,
    ) -> None:
        if samples < 0 or every_n_epochs < 1:
            raise InputError(
                "samples must be at least 0 and every_n_epochs at least 1, got "
                f"{samples}, {every_n_epochs}."
            )
        self.folder = folder
        self.title = title
        self.samples = samples
        self.every_n_epochs = every_n_epochs
        self._logger = HistoryLogger(folder)
        self._shown: set[int] = set()
        self._config = Path()

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Choose the samples, and listen to what is logged."""
        if stage != "fit":
            return
        _, data = training_scene(self, trainer, pl_module)
        if self._logger not in trainer.loggers:
            trainer.loggers = [*trainer.loggers, self._logger]
        self._config = Path(trainer.log_dir or ".") / "config.yaml"  # every process must ask
        count = min(self.samples, len(data.samples))
        indices = data.samples.indices
        self._shown = {indices[place * len(indices) // count] for place in range(count)}

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Go on where a resumed run was cut off, or begin with an empty folder."""
        self._logger.epoch = trainer.current_epoch  # one gone on with does not start
        if not trainer.is_global_zero:
            return
        known = Path(self.folder) / "history.csv"
        resumed = trainer.global_step > 0 and known.is_file()
        # A step that comes again takes the place of what it has logged before.
        history = History.read(known).until(trainer.global_step) if resumed else History()
        self._logger.history = history
        first = trainer.current_epoch if resumed else 0
        for name in _BY_EPOCH:
            for epoch, path in epochs_of(Path(self.folder) / name).items():
                if epoch >= first:
                    remove_path(path)
        self._write(trainer)
        track_config(trainer.loggers, Path(self.folder))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Name the epoch, which not everyone who logs does."""
        self._logger.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Log the step's learning rate, which the training does not; the batch's end has the next.

        Of batches that are accumulated, the last one's is logged: they all have one rate.
        """
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        pl_module.log("train/learning_rate", rate, batch_size=len(batch["image"]))

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Keep the samples that are in the batch."""
        assert isinstance(pl_module, VictimTraining)
        if self._keeps(trainer):
            folder = SampleFolder(Path(self.folder) / "samples", trainer.current_epoch)
            with trainer.precision_plugin.forward_context():
                folder.keep(pl_module.victim, batch, self._shown)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write history and report, once every process has written its samples."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self._write(trainer)
            if self._keeps(trainer):
                track_samples(trainer.loggers, Path(self.folder), trainer.current_epoch)

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write everything a last time, and hand it to the loggers."""
        if trainer.is_global_zero:
            report = self._write(trainer)
            track_training(trainer.loggers, Path(self.folder))
            print(f"report: {report}")

    def _keeps(self, trainer: L.Trainer) -> bool:
        due = trainer.current_epoch % self.every_n_epochs == 0
        return due and not trainer.sanity_checking and trainer.state.fn == "fit"

    def _write(self, trainer: L.Trainer) -> Path:
        """Write history, facts and the report of what there is so far."""
        folder = Path(self.folder)
        self._logger.history.write(folder / "history.csv")
        replace_file(folder / "run.json", json.dumps(self._facts(trainer), indent=1).encode())
        return build_training_report(folder)

    def _facts(self, trainer: L.Trainer) -> dict[str, Any]:
        data, module = trainer.datamodule, trainer.lightning_module  # type: ignore[attr-defined]
        return {
            "title": self.title,
            "kind": "training",
            "task": data.task,
            "class_names": list(data.class_names),
            "images": len(data.train_samples),
            "validation_images": len(data.samples),
            "parameters": sum(p.numel() for p in module.parameters() if p.requires_grad),
            "command": shlex.join(["python", *sys.argv]),
            "config": self._config.read_text() if self._config.is_file() else "",
            "versions": versions(*_PACKAGES),
        }

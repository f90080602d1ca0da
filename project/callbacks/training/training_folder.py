"""The callback that writes a training run's folder: history, samples and report."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import lightning as L
import torch
import wandb
from lightning.pytorch.loggers import Logger
from torch import Tensor, nn

from project.callbacks.common import lock_for_all, versions
from project.callbacks.training.history_logger import HistoryLogger
from project.callbacks.training.training_scene import training_scene
from project.core.answers import predicted_classes
from project.core.errors import InputError
from project.core.portable import portable, started_command
from project.core.yaml_files import parse_yaml
from project.data.loader import Batch
from project.report.gallery import Sample
from project.report.gallery.writer import write_png
from project.report.pictures import Bytes, strip
from project.report.training import TrainingRun, build_training_report
from project.storage import layout
from project.storage.checksums import forget, listing
from project.storage.files import replace_file
from project.storage.history import History, Point
from project.storage.lock import unlock
from project.storage.rows import remove_path
from project.tracking.experiments import experiments, log_files
from project.tracking.never_fatal import never_fatal
from project.training import VictimTraining

_PACKAGES = ("mirage-attacks", "torch", "lightning", "torchmetrics", "timm")
_HISTORY = "mirage_history"  # the key of a checkpoint
_BY_EPOCH = (layout.SAMPLES, layout.SLICES)


class TrainingFolder(L.Callback):
    """Write a training run's history, samples and report to a folder.

    The report is rebuilt after every validation. A resumed run continues in its folder from the
    state at its checkpoint; a new run replaces what is there.

    Args:
        folder: the run's folder; one per run.
        title: heading of the report.
        samples: number of validation images to keep, evenly spaced: the same ones each time, with
            their adversarial images where a callback makes them.
        every_n_epochs: epochs from one time to the next that they are kept.
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
        self._resumed = False

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Lock the folder, choose the samples, and add the logger that records the history.

        Raises:
            LockedError: on every rank, if another run writes into the folder.
        """
        if stage != "fit":
            return
        lock_for_all(trainer, Path(self.folder))
        _, data = training_scene(self, trainer, pl_module)
        if self._logger not in trainer.loggers:
            trainer.loggers = [*trainer.loggers, self._logger]
        # On every rank: ``log_dir`` broadcasts, so asking on one rank alone would hang.
        self._config = Path(trainer.log_dir or ".") / layout.CONFIG
        count = min(self.samples, len(data.samples))
        indices = data.samples.indices
        self._shown = {indices[place * len(indices) // count] for place in range(count)}

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Give the folder back."""
        unlock(Path(self.folder))

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        """Give the folder back."""
        unlock(Path(self.folder))  # Lightning skips teardown after an error

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Continue a resumed run's history from its checkpoint, or begin with an empty folder."""
        self._logger.epoch = trainer.current_epoch  # an epoch resumed midway has no start hook
        if not trainer.is_global_zero:
            return
        if not self._resumed:
            self._logger.history = History()
        first = trainer.current_epoch if self._resumed else 0
        self._resumed = False
        for name in _BY_EPOCH:
            for epoch, path in layout.epochs_of(Path(self.folder) / name).items():
                if epoch >= first:
                    remove_path(path)
        forget(Path(self.folder))  # what was removed
        self._write(trainer)
        track_config(trainer.loggers, Path(self.folder))

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Tell the history the epoch, which not every logged metric comes with."""
        self._logger.epoch = trainer.current_epoch

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Batch, batch_idx: int
    ) -> None:
        """Log the step's learning rate, now, since at the batch's end the next one is set.

        Of accumulated batches the last one's is logged: all have the same rate.
        """
        rate = trainer.optimizers[0].param_groups[0]["lr"]
        pl_module.log("train/learning_rate", rate, batch_size=len(batch["image"]))

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Drop the checksums of this epoch's files, which a second validation writes again."""
        if trainer.is_global_zero and self._keeps(trainer):
            name = layout.epoch_name(trainer.current_epoch)
            forget(Path(self.folder), *(f"{kind}/{name}*" for kind in _BY_EPOCH))

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Write the chosen samples that are in the batch."""
        assert isinstance(pl_module, VictimTraining)
        if self._keeps(trainer):
            folder = SampleFolder(Path(self.folder) / layout.SAMPLES, trainer.current_epoch)
            with trainer.precision_plugin.forward_context():
                folder.keep(pl_module.victim, batch, self._shown)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write history and report, once every process has written its samples."""
        if trainer.sanity_checking or trainer.state.fn != "fit":
            return
        trainer.strategy.barrier()  # the report reads the samples of all ranks
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

    def on_save_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Put the history so far into a checkpoint: the file's may be older, or younger."""
        self._logger.log_step_so_far(trainer)
        checkpoint[_HISTORY] = [tuple(point) for point in self._logger.history.points]

    def on_load_checkpoint(
        self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Take the history from a checkpoint; from the folder if an older version wrote it."""
        # At once: the start of a training has no hook where a checkpoint's was at its end already.
        known = Path(self.folder) / layout.HISTORY
        self._resumed = _HISTORY in checkpoint or known.is_file()
        if _HISTORY in checkpoint:
            self._logger.history = History(Point(*point) for point in checkpoint[_HISTORY])
        elif known.is_file():
            self._logger.history = History.read(known).until(checkpoint["global_step"])

    def _keeps(self, trainer: L.Trainer) -> bool:
        due = trainer.current_epoch % self.every_n_epochs == 0
        return due and not trainer.sanity_checking and trainer.state.fn == "fit"

    def _write(self, trainer: L.Trainer) -> Path:
        """Write history, facts and the report so far."""
        folder = Path(self.folder)
        with listing(folder, (layout.HISTORY, layout.FACTS, layout.REPORT)):
            self._logger.history.write(folder / layout.HISTORY)
            replace_file(folder / layout.FACTS, json.dumps(self._facts(trainer), indent=1).encode())
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
            "command": started_command(),
            "config": portable(self._config.read_text()) if self._config.is_file() else "",
            "versions": versions(*_PACKAGES),
        }


class SampleFolder:
    """The samples of one epoch, in a folder.

    Args:
        folder: the folder of all epochs.
        epoch: 0, 1, …
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder = folder / layout.epoch_name(epoch)

    def keep(self, victim: nn.Module, batch: Batch, shown: Collection[int]) -> None:
        """Write the chosen images of a batch, if it has adversarial images.

        Args:
            victim: the victim, whose predictions are written too.
            batch: image, target, index and perhaps adversarial.
            shown: indices of the chosen images.
        """
        index = batch["index"].tolist()
        places = [place for place, one in enumerate(index) if one in shown]
        if not places or "adversarial" not in batch:
            return
        clean, adversarial, target = (
            batch[name][places] for name in ("image", "adversarial", "target")
        )
        with torch.no_grad():
            logits = victim(torch.cat([clean, adversarial]))
        predictions = predicted_classes(logits).long().chunk(2)  # -1, void as a byte: none
        for row, place in enumerate(places):
            folder = self.folder / layout.sample_name(index[place])
            write_png(folder / layout.picture_name("clean"), _picture(clean[row]))
            write_png(folder / layout.ADVERSARIAL_IMAGE, _picture(adversarial[row]))
            _verdict(folder, target[row], predictions[0][row], predictions[1][row])


def _verdict(folder: Path, target: Tensor, clean: Tensor, adversarial: Tensor) -> None:
    """Write target and predictions: an image's class as JSON, pixels' classes as PNG."""
    found = {"target": target, "prediction_clean": clean, "prediction_adversarial": adversarial}
    if target.ndim:
        for name, classes in found.items():
            write_png(folder / layout.picture_name(name), classes.byte().cpu().numpy())
        return
    told: dict[str, Any] = {name: int(label) for name, label in found.items()}
    replace_file(folder / layout.VERDICT, json.dumps(told).encode())


def _picture(image: Tensor) -> Bytes:
    pixels: Bytes = image.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return pixels


@never_fatal()
def track_config(loggers: Iterable[Logger], folder: Path) -> None:
    """Log a run's config, which Lightning saves as a file but passes to no logger."""
    facts = TrainingRun.read(folder).facts
    for experiment in experiments(loggers):
        experiment.config.update(
            parse_yaml(facts["config"], "the config") or {}, allow_val_change=True
        )


@never_fatal()
def track_samples(loggers: Iterable[Logger], folder: Path, epoch: int) -> None:
    """Log the samples of one epoch, a strip of pictures each."""
    found = experiments(loggers)
    kept = TrainingRun.read(folder).samples.get(epoch, {}) if found else {}
    for experiment in found if kept else []:
        experiment.log({"samples": [_strip(sample, epoch) for sample in kept.values()]})


@never_fatal()
def track_training(loggers: Iterable[Logger], folder: Path) -> None:
    """Log the files of a run."""
    slices = [str(p.relative_to(folder)) for p in sorted(folder.glob(f"{layout.SLICES}/*.npz"))]
    files = (layout.HISTORY, layout.FACTS, layout.REPORT, *slices)
    for experiment in experiments(loggers):
        log_files(experiment, "run", "training", folder, files)


def _strip(sample: Sample, epoch: int) -> wandb.Image:
    shown = [(picture.label, picture.image) for picture in sample.pictures()]
    return wandb.Image(strip(shown), caption=f"epoch {epoch}, image {sample.index}")

"""What of a training run's folder goes to Weights & Biases, beside the scalars that Lightning logs.

It is read from the folder, so the dashboard shows what the report shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import wandb
import yaml
from lightning.pytorch.loggers import Logger

from project.report.gallery import Sample
from project.report.pictures import strip
from project.report.training import TrainingRun
from project.tracking.experiments import experiments, log_files
from project.tracking.guard import harmless


@harmless()
def track_config(loggers: Iterable[Logger], folder: Path) -> None:
    """Log the config of a run, which Lightning saves as a file and tells no logger."""
    facts = TrainingRun.read(folder).facts
    for experiment in experiments(loggers):
        experiment.config.update(yaml.safe_load(facts["config"]) or {}, allow_val_change=True)


@harmless()
def track_samples(loggers: Iterable[Logger], folder: Path, epoch: int) -> None:
    """Log the samples of one epoch, a strip of pictures each."""
    found = experiments(loggers)
    kept = TrainingRun.read(folder).samples.get(epoch, {}) if found else {}
    for experiment in found if kept else []:
        experiment.log({"samples": [_strip(sample, epoch) for sample in kept.values()]})


@harmless()
def track_training(loggers: Iterable[Logger], folder: Path) -> None:
    """Log the files of a run."""
    slices = [str(p.relative_to(folder)) for p in sorted(folder.glob("slices/*.npz"))]
    files = ("history.csv", "run.json", "report.html", *slices)
    for experiment in experiments(loggers):
        log_files(experiment, "run", "training", folder, files)


def _strip(sample: Sample, epoch: int) -> wandb.Image:
    shown = [(picture.label, picture.image) for picture in sample.pictures()]
    return wandb.Image(strip(shown), caption=f"epoch {epoch}, image {sample.index}")

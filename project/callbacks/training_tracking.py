"""What of a training run's folder goes to Weights & Biases, beside the scalars that Lightning logs.

It is read from the folder, so the dashboard shows what the report shows.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import wandb
from lightning.pytorch.loggers import Logger

from project.report.gallery import Sample
from project.report.pictures import strip
from project.report.training import TrainingRun
from project.tracking import experiments, log_files


def track_samples(loggers: Iterable[Logger], folder: Path, epoch: int) -> None:
    """Log the samples of one epoch, a strip of pictures each."""
    found = experiments(loggers)
    kept = TrainingRun.read(folder).samples.get(epoch, {}) if found else {}
    for experiment in found if kept else []:
        experiment.log({"samples": [_strip(sample, epoch) for sample in kept.values()]})


def track_training(loggers: Iterable[Logger], folder: Path) -> None:
    """Log the files of a run."""
    for experiment in experiments(loggers):
        slices = [str(p.relative_to(folder)) for p in sorted(folder.glob("slices/*.npz"))]
        names = ("history.csv", "run.json", "report.html", *slices)
        log_files(experiment, "training", folder, names)


def _strip(sample: Sample, epoch: int) -> wandb.Image:
    shown = [(picture.label, picture.image) for picture in sample.pictures()]
    return wandb.Image(strip(shown), caption=f"epoch {epoch}, image {sample.index}")

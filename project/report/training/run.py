"""A training run, finished or not, read from its folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.report.gallery import Sample
from project.storage.history import History, Point


@dataclass(frozen=True)
class TrainingRun:
    """The files of a training run so far.

    Attributes:
        folder: where it lies.
        facts: run.json.
        points: what was logged, in the order of the steps.
        samples: some validation images, by epoch and then by index.
        slices: files of loss slices, by epoch.
    """

    folder: Path
    facts: dict[str, Any]
    points: list[Point]
    samples: dict[int, dict[int, Sample]]
    slices: dict[int, Path]

    @classmethod
    def read(cls, folder: Path) -> TrainingRun:
        """Read a run's folder.

        Raises:
            FileNotFoundError: if a file that every run has is missing.
        """
        for name in ("history.csv", "run.json"):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"a training run holds history.csv and run.json; {folder} has no {name}. Give "
                    "the folder that the callback TrainingFolder names."
                )
        return cls(
            folder=folder,
            facts=json.loads((folder / "run.json").read_text(encoding="utf-8")),
            points=History.read(folder / "history.csv").points,
            samples={
                epoch: _samples(path) for epoch, path in epochs_of(folder / "samples").items()
            },
            slices=epochs_of(folder / "slices"),
        )

    @property
    def metrics(self) -> list[str]:
        """The names of what was logged, in the order in which they first come."""
        return list(dict.fromkeys(point.metric for point in self.points))

    def curve(self, metric: str) -> list[Point]:
        """Return the points of one metric."""
        return [point for point in self.points if point.metric == metric]


def is_training(folder: Path) -> bool:
    """Return whether a folder is a training run's."""
    return (folder / "history.csv").is_file()


def epochs_of(folder: Path) -> dict[int, Path]:
    """Return the entries ``epoch_00003``, whatever their suffix, by epoch."""
    return {int(path.stem.removeprefix("epoch_")): path for path in sorted(folder.glob("epoch_*"))}


def _samples(folder: Path) -> dict[int, Sample]:
    found = sorted(path.parent for path in folder.glob("*/adversarial.png"))
    return {int(path.name): Sample("", "", int(path.name), path) for path in found}

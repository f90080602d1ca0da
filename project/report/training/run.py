"""A training run, finished or not, read from its folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.report.gallery import Sample
from project.report.reading import read_facts
from project.storage import layout
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
        for name in (layout.HISTORY, layout.FACTS):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"a training run holds {layout.HISTORY} and {layout.FACTS}; {folder} has no "
                    f"{name}. Give the folder that the callback TrainingFolder names."
                )
        return cls(
            folder=folder,
            facts=read_facts(folder / layout.FACTS),
            points=History.read(folder / layout.HISTORY).points,
            samples={
                epoch: _samples(path)
                for epoch, path in layout.epochs_of(folder / layout.SAMPLES).items()
            },
            slices=layout.epochs_of(folder / layout.SLICES),
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
    return (folder / layout.HISTORY).is_file()


def _samples(folder: Path) -> dict[int, Sample]:
    found = sorted(path.parent for path in folder.glob(f"*/{layout.ADVERSARIAL_IMAGE}"))
    return {int(p.name): Sample("", "", int(p.name), p) for p in found if p.name.isdecimal()}

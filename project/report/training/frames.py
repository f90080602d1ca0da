"""Validation images over the epochs: the adversarial image and its prediction at each epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from project.core.json_text import parse_json
from project.report.classes import class_name
from project.report.gallery import Picture, Sample
from project.report.reading import read_whole
from project.report.templates import EmbeddedPicture, shown
from project.report.training.run import TrainingRun
from project.storage import layout
from project.storage.checksums import read_checked

MOST_EPOCHS = 8  # side by side
LARGEST_SIDE = 256  # pixels; there are many of them
_CONSTANT = ("clean", "target")
_LABELS = {
    "prediction_clean": "prediction, clean",
    "prediction_adversarial": "prediction, adversarial",
}


@dataclass(frozen=True)
class EpochFrame:
    """One image at one epoch.

    Attributes:
        epoch: counted from 0.
        pictures: adversarial image, difference, and of a segmenter its classes.
        text: what the victim says of it; empty of a segmenter.
        fooled: whether the adversarial image is wrong.
    """

    epoch: int
    pictures: list[EmbeddedPicture]
    text: str
    fooled: bool


@dataclass(frozen=True)
class ImageOverEpochs:
    """One validation image at each epoch that is shown."""

    index: int
    truth: str
    clean: list[EmbeddedPicture]
    frames: list[EpochFrame]


def films(run: TrainingRun) -> list[ImageOverEpochs]:
    """Return each kept image with a choice of epochs, the first and the last among them."""
    epochs = _choice(sorted(run.samples))
    indices = sorted({index for epoch in epochs for index in run.samples[epoch]})
    return [
        _film(run, {epoch: run.samples[epoch][k] for epoch in epochs if k in run.samples[epoch]}, k)
        for k in indices
    ]


def _choice(epochs: list[int]) -> list[int]:
    if len(epochs) <= MOST_EPOCHS:
        return epochs
    return [epochs[k * (len(epochs) - 1) // (MOST_EPOCHS - 1)] for k in range(MOST_EPOCHS)]


def _film(run: TrainingRun, samples: dict[int, Sample], index: int) -> ImageOverEpochs:
    first = next(iter(samples.values()))
    verdict = _verdict(first)
    return ImageOverEpochs(
        index=index,
        truth=class_name(run.facts, verdict["target"]) if verdict else "",
        clean=[shown(p, LARGEST_SIDE) for p in first.pictures() if p.kind in _CONSTANT],
        frames=[_frame(run, epoch, sample) for epoch, sample in samples.items()],
    )


def _frame(run: TrainingRun, epoch: int, sample: Sample) -> EpochFrame:
    verdict = _verdict(sample)
    fooled = bool(verdict) and verdict["prediction_adversarial"] != verdict["target"]
    names = [
        class_name(run.facts, verdict[name])
        for name in ("prediction_clean", "prediction_adversarial")
        if verdict
    ]
    return EpochFrame(
        epoch=epoch,
        pictures=[shown(picture, LARGEST_SIDE) for picture in _changing(sample)],
        text=" → ".join(dict.fromkeys(names)),
        fooled=fooled,
    )


def _changing(sample: Sample) -> Iterator[Picture]:
    """Yield the pictures that are others at each epoch."""
    for picture in sample.pictures():
        if picture.kind not in _CONSTANT:
            yield replace(picture, label=_LABELS.get(picture.kind, picture.label))


def _verdict(sample: Sample) -> dict[str, int]:
    path = sample.folder / layout.VERDICT
    return read_whole(path, _told) if path.is_file() else {}


def _told(path: Path) -> dict[str, int]:
    names = ("target", "prediction_clean", "prediction_adversarial")
    told = parse_json(read_checked(path))
    return {name: int(told[name]) for name in names}

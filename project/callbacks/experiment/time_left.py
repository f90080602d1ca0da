"""Estimating the time left of a run from the pace so far."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lightning as L

from project.callbacks.common import first_callback
from project.callbacks.experiment.attack import AttackCallback
from project.evaluation import Pass, TransferEvaluation


class Share(NamedTuple):
    """The batches of one pass that were dealt to one process, in their order.

    Attributes:
        positions: positions in the data set of each batch's samples.
        lacking: whether each batch must be attacked; otherwise it is clean, or stored.
    """

    positions: list[list[int]]
    lacking: list[bool]

    def images(self, lacking: bool) -> int:
        """Return the number of images in the batches that must be attacked, or in the others."""
        both = zip(self.positions, self.lacking, strict=True)
        return sum(len(batch) for batch, lacks in both if lacks is lacking)


def shares(trainer: L.Trainer, module: TransferEvaluation) -> dict[Pass, Share]:
    """Return this process's share of each pass, given what the store holds now."""
    attacking = first_callback(trainer, AttackCallback)
    pass_images = attacking.pass_images if attacking else {}
    loaders: Any = trainer.test_dataloaders
    found = {}
    for step, loader in zip(module.plan, loaders, strict=True):
        positions = list(loader.batch_sampler)
        indices = [[loader.dataset.indices[place] for place in batch] for batch in positions]
        of_pass = pass_images.get(step)
        lacking = [of_pass is not None and of_pass.lacks(batch) for batch in indices]
        found[step] = Share(positions, lacking)
    return found


def loaded_batch(trainer: L.Trainer, positions: Sequence[int]) -> dict[str, Any]:
    """Load a batch as the test loop does: collated, converted, on the device."""
    loader = trainer.test_dataloaders[0]  # type: ignore[index]
    batch = loader.collate_fn([loader.dataset[place] for place in positions])
    batch = trainer.precision_plugin.convert_input(batch)
    moved: dict[str, Any] = trainer.strategy.batch_to_device(batch)
    return moved


class Throughput(NamedTuple):
    """A number of images, and the seconds that they took."""

    images: int
    seconds: float

    @property
    def speed(self) -> float:
        """Images per second."""
        return self.images / self.seconds if self.seconds else math.inf


class Pace:
    r"""The pace of a run, measured apart for attacked batches and for all others.

    $$t = \sum_p s_p n_p + r m$$ with n_p images left to attack in pass p at s_p seconds each, and m
    images left that only have to be loaded and judged, at r seconds each, the same in all passes.
    So fast batches from the store do not make the attacks look fast.

    Before a pass has attacked anything, s_p is r plus the expected attack time; without an
    expectation, the mean over all images attacked so far. Before the first stored batch, r is
    that of the clean ones.

    Args:
        shares: this process's share of each pass, in order.
        expected: seconds that an attack takes per image, by pass, where known.
    """

    def __init__(self, shares: Mapping[Pass, Share], expected: Mapping[Pass, float]) -> None:
        self.shares = shares
        self.expected = expected
        self._done: dict[tuple[Pass, bool], Throughput] = {}

    def finished(self, step: Pass, images: int, attacked: bool, seconds: float) -> None:
        """Count a batch that is done.

        Args:
            step: its pass.
            images: number of its images.
            attacked: whether they were attacked, and neither clean nor stored.
            seconds: time since the end of the batch before.
        """
        before = self._done.get((step, attacked), Throughput(0, 0.0))
        self._done[step, attacked] = Throughput(before.images + images, before.seconds + seconds)

    def done(self, step: Pass, attacked: bool) -> Throughput:
        """Return the throughput so far of a pass's attacked images, or of its others."""
        return self._done.get((step, attacked), Throughput(0, 0.0))

    def left_of_pass(self, step: Pass, batches: int = 0) -> float:
        """Return the seconds that a pass still takes after so many batches, NaN while unknown."""
        share = self.shares[step]
        rest = Share(share.positions[batches:], share.lacking[batches:])
        parts = [(rest.images(False), self._judging), (rest.images(True), self._attacking(step))]
        return sum(images * seconds for images, seconds in parts if images)

    def left_of_run(self, step: Pass, batches: int) -> float:
        """Return the seconds that the run still takes, after so many batches of a pass."""
        passes = list(self.shares)
        later = passes[passes.index(step) + 1 :]
        return self.left_of_pass(step, batches) + sum(map(self.left_of_pass, later))

    @property
    def _judging(self) -> float:
        stored = [self.done(step, False) for step in self.shares if not step.clean]
        clean = [self.done(step, False) for step in self.shares if step.clean]
        return _per_image(stored) or _per_image(clean) or math.nan

    def _attacking(self, step: Pass) -> float:
        own = _per_image([self.done(step, True)])
        if own is None and step in self.expected:
            return self._judging + self.expected[step]
        return own or _per_image([self.done(one, True) for one in self.shares]) or math.nan


def _per_image(done: Sequence[Throughput]) -> float | None:
    images = sum(one.images for one in done)
    return sum(one.seconds for one in done) / images if images else None


def told_duration(seconds: float) -> str:
    """Format seconds as ``0:07``, ``12:30`` or ``3:05:00``; ``?`` for NaN."""
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

"""How much of a run is left, and how long that takes by what is done."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import lightning as L

from project.callbacks.common import first_callback
from project.callbacks.experiment.attack import AttackCallback
from project.evaluation import Pass, TransferEvaluation


class Share(NamedTuple):
    """The batches of one pass that one process was dealt, in their order.

    Attributes:
        positions: places in the data set of each batch's samples.
        lacking: of each batch, whether it is to be attacked; else it is clean, or stored.
    """

    positions: list[list[int]]
    lacking: list[bool]

    def images(self, lacking: bool) -> int:
        """Return the number of images in the batches that are lacking, or in the others."""
        both = zip(self.positions, self.lacking, strict=True)
        return sum(len(batch) for batch, lacks in both if lacks is lacking)


def shares(trainer: L.Trainer, module: TransferEvaluation) -> dict[Pass, Share]:
    """Return this process's share of each pass, as the store is now."""
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
    """Return a batch as the test loop hands it over."""
    loader = trainer.test_dataloaders[0]  # type: ignore[index]
    batch = loader.collate_fn([loader.dataset[place] for place in positions])
    batch = trainer.precision_plugin.convert_input(batch)
    moved: dict[str, Any] = trainer.strategy.batch_to_device(batch)
    return moved


class Throughput(NamedTuple):
    """Images of one kind, and the seconds that they took."""

    images: int
    seconds: float

    @property
    def speed(self) -> float:
        """Images per second."""
        return self.images / self.seconds if self.seconds else math.inf


class Pace:
    r"""The pace of a run, told apart by what there is to do with a batch.

    $$t = \sum_p s_p n_p + r m$$ with n_p images left to attack in pass p at s_p seconds each, and m
    images left that only have to be loaded and judged, at r seconds each, alike in all passes. So
    a store that is full at first spoils nothing.

    Before a pass has attacked anything, s_p is r and what the attack is expected to take; without
    an expectation, the mean over all images attacked so far. Before a stored batch has come, r is
    that of the clean ones.

    Args:
        shares: of each pass, in order.
        expected: seconds that an attack takes per image, by pass, as far as is known.
    """

    def __init__(self, shares: Mapping[Pass, Share], expected: Mapping[Pass, float]) -> None:
        self.shares = shares
        self.expected = expected
        self._done: dict[tuple[Pass, bool], Throughput] = {}

    def finished(self, step: Pass, images: int, attacked: bool, seconds: float) -> None:
        """Count a batch that is done.

        Args:
            step: its pass.
            images: how many it had.
            attacked: whether they were attacked, and neither clean nor stored.
            seconds: from the end of the batch before.
        """
        before = self._done.get((step, attacked), Throughput(0, 0.0))
        self._done[step, attacked] = Throughput(before.images + images, before.seconds + seconds)

    def done(self, step: Pass, attacked: bool) -> Throughput:
        """Return what is done of a pass: the images that were attacked, or the others."""
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
    """Return seconds as people read them: ``0:07``, ``12:30``, ``3:05:00``; ``?`` for NaN."""
    if math.isnan(seconds):
        return "?"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"

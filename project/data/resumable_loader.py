"""Batches of a training that go on in mid-epoch where a checkpoint left them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch.utils.data import Sampler

from project.core.errors import InputError
from project.data.loader import Batch, WatchedLoader
from project.data.samplers import EpochSampler

Keys = list[tuple[int, int]]


class TrainingBatches(Sampler[Keys]):
    """A rank's batches of an epoch, without those done when a run's checkpoint was made.

    The order is a function of the epoch, so the number of batches done is all there is to
    remember.

    Args:
        sampler: the order; Lightning looks for it under this name to set the epoch.
        batch_size: samples per batch.
        replays: how many times in a row each batch comes; each counts as a batch.

    Attributes:
        start: the epoch in which the run begins, and how many of its batches have been done.
    """

    def __init__(self, sampler: EpochSampler, batch_size: int, replays: int = 1) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.replays = replays
        self.start = (0, 0)

    def skipped(self) -> int:
        """Return how many batches of the sampler's epoch are left out."""
        epoch, done = self.start
        return done if epoch == self.sampler.epoch else 0

    def __iter__(self) -> Iterator[Keys]:
        keys = list(self.sampler)
        for number in range(self.skipped(), len(self)):
            first = number // self.replays * self.batch_size
            yield keys[first : first + self.batch_size]

    def __len__(self) -> int:
        """Return the number of all batches; a short last one counts only if it is the only one."""
        return max(1, len(self.sampler) // self.batch_size) * self.replays


class ResumableLoader(WatchedLoader):
    """A loader of :class:`TrainingBatches` that knows its place.

    What counts is what the training was given, not what workers have prepared. Iteration begins
    with the first batch that is asked for: Lightning calls ``iter`` before it sets the epoch of a
    resumed run, and workers would run ahead in a wrong one.
    """

    _place = (0, 0)
    _resumed_order: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        epoch, skipped = self._batches.sampler.epoch, self._batches.skipped()
        if skipped:
            self._check_order()
        for done, batch in enumerate(super().__iter__(), skipped + 1):
            self._place = (epoch, done)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the place, (epoch, batches done), and what the order of batches follows from."""
        return {"place": self._place, "order": self._order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on behind the last batch of a checkpoint."""
        self._place = self._batches.start = state["place"]
        self._resumed_order = state["order"]

    @property
    def _batches(self) -> TrainingBatches:
        return cast(TrainingBatches, self.batch_sampler)

    @property
    def _order(self) -> dict[str, int]:
        sampler = self._batches.sampler
        return {
            "batch size": self._batches.batch_size,
            "replays": self._batches.replays,
            "seed": sampler.seed,
            "training samples": sampler.num_samples,
            "processes": sampler.world_size,
        }

    def _check_order(self) -> None:
        before, now = self._resumed_order or {}, self._order
        changed = [name for name in before if now[name] != before[name]]
        if changed:
            was, came = (
                ", ".join(f"{name} {order[name]}" for name in changed) for order in (before, now)
            )
            raise InputError(
                f"a training goes on in mid-epoch with the batches it began with, {was}; got "
                f"{came}. Give what it was, or resume from a checkpoint of an epoch's end."
            )

"""A training loader that resumes in mid-epoch from a checkpoint, with the same batches."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from torch.utils.data import Sampler

from project.core.errors import InputError
from project.data.loader import Batch, WatchedLoader
from project.data.samplers import EpochSampler

Keys = list[tuple[int, int]]


class TrainingBatches(Sampler[Keys]):
    """A rank's batches of an epoch, without those done before a resumed run's checkpoint.

    The order is a function of the epoch, so a checkpoint needs no more than the number of batches
    done.

    Args:
        sampler: the order; Lightning looks for it under this name to set the epoch.
        batch_size: samples per batch.
        replays: how many times in a row each batch comes; each counts as a batch.

    Attributes:
        start: the epoch in which the run begins, and the number of its batches already done.
    """

    def __init__(self, sampler: EpochSampler, batch_size: int, replays: int = 1) -> None:
        self.sampler = sampler
        self.batch_size = batch_size
        self.replays = replays
        self.start = (0, 0)

    def skipped(self) -> int:
        """Return the number of the sampler's epoch's batches that are skipped."""
        epoch, done = self.start  # later epochs are whole
        return done if epoch == self.sampler.epoch else 0

    def __iter__(self) -> Iterator[Keys]:
        keys = list(self.sampler)
        for number in range(self.skipped(), len(self)):
            first = number // self.replays * self.batch_size
            yield keys[first : first + self.batch_size]

    def __len__(self) -> int:
        """Return the number of an epoch's batches, skipped ones included.

        A short last batch counts only if it is the only one.
        """
        return max(1, len(self.sampler) // self.batch_size) * self.replays


class ResumableLoader(WatchedLoader):
    """A loader of :class:`TrainingBatches` that tracks its place in the epoch.

    The place counts the batches that the training received, not those that workers have
    prefetched. Workers start only when the first batch is requested: Lightning calls ``iter``
    before it sets the epoch of a resumed run, and they would prefetch from a wrong epoch.
    """

    _place = (0, 0)
    _resumed_order: dict[str, int] | None = None

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        epoch, skipped = self._batches.sampler.epoch, self._batches.skipped()
        if skipped:
            self._check_order()
        for done, batch in enumerate(super().__iter__(), skipped + 1):
            # Before the yield: a checkpoint in the step on this batch must count it as done.
            self._place = (epoch, done)
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """Return the place, (epoch, batches done), and the settings that fix the batches' order."""
        return {"place": self._place, "order": self._order}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the place of a checkpoint: the next batch is the one after its last."""
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

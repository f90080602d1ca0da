"""The callback that gives the next batch to whatever process is free."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from typing import Any

import lightning as L
import torch.distributed as dist
from tqdm import tqdm

from project.callbacks.common import first_callback
from project.callbacks.experiment.attack import AttackCallback
from project.callbacks.experiment.time_left import loaded_batch
from project.core.errors import InputError
from project.data.samplers import DealtBatchSampler

_FILLS = itertools.count()  # experiments of this process so far; the same on every process


class WorkStealing(L.Callback):
    """Attack all that the store lacks before the passes begin, the next batch by whoever is free.

    With early stop some batches take many times as long as others, and a process that was dealt
    short ones would wait. Batches stay as they are, so results do too, bit for bit: each is in the
    store when its pass asks for it, whoever made it. The store must be on a disk that all processes
    see; where it is not, a pass attacks again what it lacks.
    """

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: dict[str, Any],
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Fill the store before the first batch of the first pass."""
        if trainer.world_size > 1 and batch_idx == dataloader_idx == 0:
            _fill(trainer)
            trainer.strategy.barrier()


def _fill(trainer: L.Trainer) -> None:
    attacking = first_callback(trainer, AttackCallback)
    if attacking is None:
        raise InputError("WorkStealing shares the work of an AttackCallback, got none.")
    loader = trainer.test_dataloaders[0]  # type: ignore[index]
    dealt = loader.batch_sampler
    batches = list(DealtBatchSampler(dealt.num_samples, dealt.batch_size))
    work = [(of_pass, batch) for of_pass in attacking.pass_images.values() for batch in batches]
    with _bar(trainer, len(work)) as bar:
        for number in _numbers():
            bar.update(min(number, len(work)) - bar.n)  # handed out so far, to all processes
            if number >= len(work):
                break
            of_pass, positions = work[number]
            if of_pass.lacks([loader.dataset.indices[place] for place in positions]):
                with trainer.precision_plugin.forward_context():
                    of_pass(loaded_batch(trainer, positions))


def _bar(trainer: L.Trainer, batches: int) -> tqdm[Any]:
    """Return a bar for a terminal, for anything else a line a minute; of the first process."""
    watched = sys.stderr.isatty()
    return tqdm(
        total=batches,
        desc="attacks of all passes",
        unit="batch",
        mininterval=0.1 if watched else 60,
        disable=not trainer.is_global_zero,
    )


def _numbers() -> Iterator[int]:
    """Count from 0; each number comes to one process only."""
    # The group's own key-value store is already reachable from everywhere; torch has no public way.
    counter = dist.distributed_c10d._get_default_store()
    key = f"mirage/batches/{next(_FILLS)}"
    while True:
        yield counter.add(key, 1) - 1

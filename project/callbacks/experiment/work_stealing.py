"""Work stealing: the callback that gives the next batch to whichever process is free."""

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
    """Fill the store before the passes begin; a process that is free takes the next batch.

    With early stop some batches take many times as long as others, and a process that was dealt
    short ones would wait. The batches are the same as without this callback, so results are too,
    bit for bit: each batch is in the store when its pass asks for it, whichever process attacked
    it. The store must be on a disk that all processes share; where it is not, a pass attacks again
    what it lacks.
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
            trainer.strategy.barrier()  # a pass may need batches that other ranks still attack


def _fill(trainer: L.Trainer) -> None:
    attacking = first_callback(trainer, AttackCallback)
    if attacking is None:
        raise InputError("WorkStealing shares the work of an AttackCallback, got none.")
    loader = trainer.test_dataloaders[0]  # type: ignore[index]
    dealt = loader.batch_sampler
    # All ranks' batches, of the same samples as in the passes; every rank has the same list.
    batches = list(DealtBatchSampler(dealt.num_samples, dealt.batch_size))
    work = [(step, batch) for step in attacking.pass_images for batch in batches]
    current = None
    with _bar(trainer, len(work)) as bar:
        for number in _numbers():
            bar.update(min(number, len(work)) - bar.n)  # handed out so far, to all processes
            if number >= len(work):
                break
            step, positions = work[number]
            if step != current:
                attacking.forget_all_but(step)
                current = step
            of_pass = attacking.pass_images[step]
            if of_pass.lacks([loader.dataset.indices[place] for place in positions]):
                with trainer.precision_plugin.forward_context():
                    of_pass(loaded_batch(trainer, positions))
    attacking.saving.wait()


def _bar(trainer: L.Trainer, batches: int) -> tqdm[Any]:
    """Return the first process's bar: live in a terminal, a line a minute in a log."""
    watched = sys.stderr.isatty()
    return tqdm(
        total=batches,
        desc="attacks of all passes",
        unit="batch",
        mininterval=0.1 if watched else 60,
        disable=not trainer.is_global_zero,
    )


def _numbers() -> Iterator[int]:
    """Yield numbers from a counter that all processes share, so no two get the same number."""
    # The process group's key-value store is reachable by all ranks; torch has no public accessor.
    # Its ``add`` is atomic, so no lock is needed.
    counter = dist.distributed_c10d._get_default_store()
    key = f"mirage/batches/{next(_FILLS)}"
    while True:
        yield counter.add(key, 1) - 1

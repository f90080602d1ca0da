"""Checkpoints of a training step after which a validation is due.

Lightning takes such a checkpoint, of a kill between the step and the end of the validation, for one
after the validation: a resumed training never makes it up, so its numbers are missing, and an epoch
that may be the best is never kept.
"""

from __future__ import annotations

from typing import Any

from lightning.pytorch import Trainer

_TRAINING = "epoch_loop.batch_progress"
_VALIDATION = "epoch_loop.val_loop.batch_progress"


def note_validation_due(trainer: Trainer, checkpoint: dict[str, Any]) -> None:
    """Have a training that resumes from a checkpoint validate first, where that was due.

    The counters of Lightning's loops in the checkpoint become those at the start of the validation:
    the step is complete, a first batch of validation has begun.

    Args:
        trainer: whose checkpoint it is.
        checkpoint: what is about to be written; changed.
    """
    loops = checkpoint.get("loops", {}).get("fit_loop", {})
    fetcher = trainer.fit_loop._data_fetcher
    if not trainer.training or _TRAINING not in loops or fetcher is None:
        return
    training = loops[_TRAINING]
    in_a_step = training["current"]["processed"] == training["current"]["completed"] + 1
    if not in_a_step or not trainer.fit_loop.epoch_loop._should_check_val_fx(fetcher):
        return
    validation = loops[_VALIDATION]
    for counts in (training["total"], training["current"]):
        counts["completed"] += 1
    done = validation["total"]["completed"]
    validation["total"] |= {"ready": done + 1, "started": done + 1, "processed": done}
    validation["current"] |= {"ready": 1, "started": 1, "processed": 0, "completed": 0}
    validation["is_last_batch"] = False

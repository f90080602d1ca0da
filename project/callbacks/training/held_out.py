"""Held-out images that are attacked during training to measure robust accuracy."""

from __future__ import annotations

import lightning as L
import torch
from torch import Tensor

from project.attacks import Attack
from project.attacks.core.attack import frozen
from project.attacks.core.query import query
from project.callbacks.training.adversarial_batches import attacked, share_wrong, worst_of
from project.core.losses import valid_elements
from project.data.datamodule import AttackDataModule
from project.data.loader import Batch, collate
from project.victims import Victim


class HeldOut:
    """A fixed, evenly spaced slice of the evaluation set, dealt to all processes.

    Args:
        data: the datamodule, whose evaluation set is used; in training, its validation split.
        count: images of the slice; fewer where the set has fewer.
        rank: this process.
        world_size: number of processes.
    """

    def __init__(self, data: AttackDataModule, count: int, rank: int, world_size: int) -> None:
        total = len(data.samples)
        count = min(count, total)
        positions = [number * total // count for number in range(count)][rank::world_size]
        self.batches = [
            collate([data.samples[place] for place in positions[start : start + data.batch_size]])
            for start in range(0, len(positions), data.batch_size)
        ]

    def accuracy(self, trainer: L.Trainer, victim: Victim, attacks: list[Attack]) -> float:
        """Return the robust accuracy under the worst attack, over images or valid pixels.

        The counts are summed over processes, so all return the same number, and every process must
        call it. The victim is left as it was.
        """
        counts = torch.zeros(2, device=trainer.strategy.root_device)
        for batch in self.batches:
            moved: Batch = trainer.strategy.batch_to_device(batch)
            with trainer.precision_plugin.forward_context():
                counts += _right_and_valid(victim, moved, attacks)
        right, valid = trainer.strategy.reduce(counts, reduce_op="sum")
        return float(right / valid.clamp(min=1))


def _right_and_valid(victim: Victim, batch: Batch, attacks: list[Attack]) -> Tensor:
    """Return the numbers of a batch's correct and of its valid elements, (2,)."""
    target = batch["target"]
    images = worst_of(attacked(victim, batch, attacks), victim, target, share_wrong)
    with torch.no_grad(), frozen(victim):
        right = 1 - share_wrong(query(victim, images, target), target)
    valid = valid_elements(target).reshape(len(target), -1).sum(1)
    return torch.stack([(right * valid).sum(), valid.sum()])

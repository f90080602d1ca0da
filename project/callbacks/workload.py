"""What a process has to attack, and what it will find in the store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import lightning as L

from project.callbacks.attacking import AttackCallback
from project.callbacks.finding import first_callback
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
    craftings = attacking.craftings if attacking else {}
    loaders: Any = trainer.test_dataloaders
    found = {}
    for step, loader in zip(module.plan, loaders, strict=True):
        positions = list(loader.batch_sampler)
        indices = [[loader.dataset.indices[place] for place in batch] for batch in positions]
        crafting = craftings.get(step)
        lacking = [crafting is not None and crafting.lacks(batch) for batch in indices]
        found[step] = Share(positions, lacking)
    return found


def loaded_batch(trainer: L.Trainer, positions: Sequence[int]) -> dict[str, Any]:
    """Return a batch as the test loop hands it over."""
    loader = trainer.test_dataloaders[0]  # type: ignore[index]
    batch = loader.collate_fn([loader.dataset[place] for place in positions])
    batch = trainer.precision_plugin.convert_input(batch)
    moved: dict[str, Any] = trainer.strategy.batch_to_device(batch)
    return moved

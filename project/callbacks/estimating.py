"""The callback that tells what an experiment costs before its passes begin."""

from __future__ import annotations

import time

import lightning as L
from lightning.pytorch.utilities.exceptions import _TunerExitException

from project.callbacks.attacking import AttackCallback
from project.callbacks.cost import Cost, estimate_table
from project.callbacks.crafting import Crafting
from project.callbacks.finding import first_callback
from project.callbacks.workload import Share, loaded_batch, shares
from project.evaluation import Pass, TransferEvaluation
from project.evaluation.gathering import from_all


class CostEstimate(L.Callback):
    """Attack the first batch that the store lacks of every pass, and tell what the rest will take.

    Nothing is lost: the images go to the store, where the pass finds them. The first batch of an
    attack also warms up, so the estimate is rather too high; judging the images comes on top. With
    several processes each attacks a batch of its own share, and the slowest one counts.

    Belongs before what clears an earlier run's results, such as RunFolder.

    Attributes:
        seconds_per_image: of the passes of which this process attacked a batch.

    Args:
        only: stop after the estimate; the results of an earlier run stay as they are.
    """

    def __init__(self, only: bool = False) -> None:
        self.only = only
        self.seconds_per_image: dict[Pass, float] = {}

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Attack, and tell; the attack callback has made what attacks by now."""
        assert isinstance(pl_module, TransferEvaluation)
        attacking = first_callback(trainer, AttackCallback)
        assert attacking is not None
        found = shares(trainer, pl_module)
        costs = {
            step: _cost(trainer, found[step], crafting)
            for step, crafting in attacking.craftings.items()
        }
        self.seconds_per_image = {
            step: cost.seconds for step, cost in costs.items() if cost.seconds is not None
        }
        everyone = from_all(costs)
        if trainer.is_global_zero:
            print("\n" + estimate_table(everyone))
        if self.only:
            # Lightning has no public way to end a test early that has not failed.
            raise _TunerExitException


def _cost(trainer: L.Trainer, share: Share, crafting: Crafting) -> Cost:
    """Attack the first batch that is lacking, and return what the pass costs from then on."""
    stored, lacking = share.images(False), share.images(True)
    if not lacking:
        return Cost(stored, lacking, None)
    batch = loaded_batch(trainer, share.positions[share.lacking.index(True)])
    images = len(batch["index"])
    start = time.perf_counter()
    with trainer.precision_plugin.forward_context():
        crafting(batch)  # its images are on the CPU and stored afterwards, so nothing is pending
    seconds = time.perf_counter() - start
    return Cost(stored + images, lacking - images, seconds / images)

"""An estimate of the time that an experiment's attacks will take, as a table."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import lightning as L
from lightning.pytorch.utilities.exceptions import _TunerExitException

from project.callbacks.common import first_callback
from project.callbacks.experiment.attack import AttackCallback
from project.callbacks.experiment.console import aligned
from project.callbacks.experiment.images_of_a_pass import PassImages
from project.callbacks.experiment.time_left import Share, loaded_batch, shares, told_duration
from project.evaluation import Pass, TransferEvaluation
from project.evaluation.distributed import all_gather


class Cost(NamedTuple):
    """The attack time that one pass needs on one process.

    Attributes:
        stored: images in batches that the store holds.
        lacking: images in batches that are still to be attacked.
        seconds: attack time per image, None where no batch had to be attacked.
    """

    stored: int
    lacking: int
    seconds: float | None

    @property
    def left(self) -> float:
        """Seconds that attacking the lacking images takes."""
        return self.lacking * self.seconds if self.seconds is not None else 0.0


def estimate_table(everyone: Sequence[Mapping[Pass, Cost]]) -> str:
    """Return the estimate as text: a line per pass, and a total.

    Args:
        everyone: each process's costs by pass, in the order of the ranks.
    """
    found = [cost for costs in everyone for cost in costs.values()]
    if all(cost.seconds is None for cost in found):
        images = sum(cost.stored for cost in found)
        return f"all {images} adversarial images are in the store: there is nothing to attack"
    lines = [_line(step, [costs[step] for costs in everyone]) for step in everyone[0]]
    total = max(sum(cost.left for cost in costs.values()) for costs in everyone)
    shared = f" on {len(everyone)} processes" if len(everyone) > 1 else ""
    return "\n".join(
        [
            aligned([["attack", "source", "stored", "lacking", "s/image", "time"], *lines]),
            f"attacking will take about {told_duration(total)}{shared}, rather less: one batch of "
            "each pass was timed,",
            "which also warmed up. Judging the images comes on top.",
        ]
    )


def _line(step: Pass, costs: Sequence[Cost]) -> list[str]:
    measured = [cost.seconds for cost in costs if cost.seconds is not None]
    return [
        step.attack,
        step.source,
        str(sum(cost.stored for cost in costs)),
        str(sum(cost.lacking for cost in costs)),
        f"{sum(measured) / len(measured):.3g}" if measured else "–",
        told_duration(max(cost.left for cost in costs)),
    ]


class CostEstimate(L.Callback):
    """Time the first batch that the store lacks of every pass, and print what the rest will take.

    Nothing is lost: the images go to the store, where the pass finds them. The first batch of an
    attack also warms up, so the estimate is rather too high; judging the images comes on top. With
    several processes each attacks a batch of its own share, and the slowest one counts.

    Must come before callbacks that clear an earlier run's results, such as RunFolder.

    Attributes:
        seconds_per_image: attack time by pass, where this process attacked a batch.

    Args:
        only: stop after the estimate; the results of an earlier run stay as they are.
    """

    def __init__(self, only: bool = False) -> None:
        self.only = only
        self.seconds_per_image: dict[Pass, float] = {}

    def on_test_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Attack one batch of each pass and print the estimate, after AttackCallback's own hook."""
        assert isinstance(pl_module, TransferEvaluation)
        attacking = first_callback(trainer, AttackCallback)
        assert attacking is not None
        found = shares(trainer, pl_module)
        costs = {
            step: _cost(trainer, found[step], of_pass)
            for step, of_pass in attacking.pass_images.items()
        }
        self.seconds_per_image = {
            step: cost.seconds for step, cost in costs.items() if cost.seconds is not None
        }
        everyone = all_gather(costs)
        if trainer.is_global_zero:
            print("\n" + estimate_table(everyone))
        if self.only:
            # Lightning has no public way to end a test early that has not failed.
            raise _TunerExitException


def _cost(trainer: L.Trainer, share: Share, of_pass: PassImages) -> Cost:
    """Attack the first batch that is lacking, and return the cost of the rest of the pass."""
    stored, lacking = share.images(False), share.images(True)
    if not lacking:
        return Cost(stored, lacking, None)
    batch = loaded_batch(trainer, share.positions[share.lacking.index(True)])
    images = len(batch["index"])
    start = time.perf_counter()
    with trainer.precision_plugin.forward_context():
        # No CUDA synchronisation is needed: the images are on the CPU and stored on return.
        of_pass(batch)
        of_pass.saving.wait()
    seconds = time.perf_counter() - start
    return Cost(stored + images, lacking - images, seconds / images)

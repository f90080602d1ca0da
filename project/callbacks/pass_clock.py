"""What both displays of progress know of a run: its passes, their pace, and what is left."""

from __future__ import annotations

import time

import lightning as L

from project.callbacks.attacking import AttackCallback
from project.callbacks.estimating import CostEstimate
from project.callbacks.finding import first_callback
from project.callbacks.pace import Done, Pace, told_duration
from project.callbacks.workload import shares
from project.evaluation import Pass, TransferEvaluation


class PassClock:
    """Follows the batches of a test on one process, of whose share it tells.

    It starts with the first batch: by then the cost was estimated, whose images are in the store.

    Args:
        trainer: of the test.
        module: whose plan it is.
    """

    def __init__(self, trainer: L.Trainer, module: TransferEvaluation) -> None:
        attacking = first_callback(trainer, AttackCallback)
        estimate = first_callback(trainer, CostEstimate)
        self.passes: list[Pass] = list(module.plan)
        self.pace = Pace(shares(trainer, module), estimate.seconds_per_image if estimate else {})
        self._craftings = attacking.craftings if attacking else {}
        self._made = self._attacked_so_far()
        self._since = time.perf_counter()

    def tick(self, place: int, images: int) -> None:
        """Count a batch of the pass at that place of the plan, which has just ended."""
        now, made = time.perf_counter(), self._attacked_so_far()
        self.pace.finished(self.passes[place], images, made > self._made, now - self._since)
        self._since, self._made = now, made

    def name(self, place: int) -> str:
        """Return which pass it is of how many, such as ``pass 3/8, pgd on unet``."""
        return f"pass {place + 1}/{len(self.passes)}, {self.passes[place]}"

    def left_of_pass(self, place: int, batches: int) -> str:
        """Return how long the pass still takes after so many of its batches."""
        return told_duration(self.pace.left_of_pass(self.passes[place], batches))

    def left_of_run(self, place: int, batches: int) -> str:
        """Return how long the run still takes after so many batches of the pass."""
        return told_duration(self.pace.left_of_run(self.passes[place], batches))

    def done(self, place: int) -> tuple[Done, Done]:
        """Return the images of a pass that were attacked, and the others."""
        step = self.passes[place]
        return self.pace.done(step, True), self.pace.done(step, False)

    def _attacked_so_far(self) -> int:
        return sum(crafting.made for crafting in self._craftings.values())

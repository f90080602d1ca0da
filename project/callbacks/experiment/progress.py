"""Progress by pass: a bar in a terminal, a line per pass in a log."""

from __future__ import annotations

import sys
import time
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import ProgressBar, TQDMProgressBar

from project.callbacks.common import first_callback
from project.callbacks.experiment.attack import AttackCallback
from project.callbacks.experiment.cost_estimate import CostEstimate
from project.callbacks.experiment.time_left import Pace, Throughput, shares, told_duration
from project.evaluation import Pass, TransferEvaluation


class PassClock:
    """Measures the progress of a test through one process's share of the batches.

    Create it at the first batch: by then a cost estimate has put its images into the store.

    Args:
        trainer: the test's trainer.
        module: the evaluation, whose plan lists the passes.
    """

    def __init__(self, trainer: L.Trainer, module: TransferEvaluation) -> None:
        attacking = first_callback(trainer, AttackCallback)
        estimate = first_callback(trainer, CostEstimate)
        self.passes: list[Pass] = list(module.plan)
        self.pace = Pace(shares(trainer, module), estimate.seconds_per_image if estimate else {})
        self._pass_images = attacking.pass_images if attacking else {}
        self._made = self._attacked_so_far()
        self._since = time.perf_counter()

    def tick(self, place: int, images: int) -> None:
        """Count a batch that has just ended; ``place`` is its pass's position in the plan."""
        now, made = time.perf_counter(), self._attacked_so_far()
        self.pace.finished(self.passes[place], images, made > self._made, now - self._since)
        self._since, self._made = now, made

    def name(self, place: int) -> str:
        """Return the pass's number and name, such as ``pass 3/8, pgd on unet``."""
        return f"pass {place + 1}/{len(self.passes)}, {self.passes[place]}"

    def left_of_pass(self, place: int, batches: int) -> str:
        """Return the time left of a pass after so many of its batches, as text."""
        return told_duration(self.pace.left_of_pass(self.passes[place], batches))

    def left_of_run(self, place: int, batches: int) -> str:
        """Return the time left of the run after so many batches of the pass, as text."""
        return told_duration(self.pace.left_of_run(self.passes[place], batches))

    def done(self, place: int) -> tuple[Throughput, Throughput]:
        """Return the throughput of a pass's attacked images, and that of its others."""
        step = self.passes[place]
        return self.pace.done(step, True), self.pace.done(step, False)

    def _attacked_so_far(self) -> int:
        return sum(one.made for one in self._pass_images.values())


class PassProgressBar(TQDMProgressBar):
    """A bar per pass, with its name, images per second, and the time left of pass and run.

    The speed is that of the images which this process attacks, where the pass attacks any.
    """

    BAR_FORMAT = "{l_bar}{bar}| {n_fmt}/{total_fmt} [{elapsed}{postfix}]"

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Show nothing yet: the victims are still to be checked and the cost to be printed."""

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Start a pass's bar, with its name, at its first batch."""
        if batch_idx:
            return
        assert isinstance(pl_module, TransferEvaluation)
        if not dataloader_idx:
            self._clock = PassClock(trainer, pl_module)
            self.test_progress_bar = self.init_test_tqdm()
        super().on_test_batch_start(trainer, pl_module, batch, batch_idx, dataloader_idx)
        self.test_progress_bar.set_description(self._clock.name(dataloader_idx))

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the batch, and show speed and time left."""
        self._clock.tick(dataloader_idx, len(batch["index"]))
        attacked, others = self._clock.done(dataloader_idx)
        speed = (attacked if attacked.images else others).speed
        place = dataloader_idx, batch_idx + 1
        of_pass, of_run = self._clock.left_of_pass(*place), self._clock.left_of_run(*place)
        told = f"{speed:.3g} images/s, {of_pass} left, run {of_run} left"
        self.test_progress_bar.set_postfix_str(told, refresh=False)
        super().on_test_batch_end(trainer, pl_module, outputs, batch, batch_idx, dataloader_idx)


class PassLines(ProgressBar):
    """Prints a line when a pass has ended, for logs; about the first process's share."""

    def __init__(self) -> None:
        super().__init__()
        self._enabled = True

    def disable(self) -> None:
        """Print nothing, as Lightning asks of all processes but the first."""
        self._enabled = False

    def enable(self) -> None:
        """Print again."""
        self._enabled = True

    def on_test_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Start the clock with the first batch."""
        if not (batch_idx or dataloader_idx):
            assert isinstance(pl_module, TransferEvaluation)
            self._clock = PassClock(trainer, pl_module)

    def on_test_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Count the batch, and print the pass's line if it was its last."""
        self._clock.tick(dataloader_idx, len(batch["index"]))
        batches = trainer.num_test_batches
        if self._enabled and batch_idx + 1 == batches[dataloader_idx]:
            print(self._line(dataloader_idx, batch_idx + 1), flush=True)

    def _line(self, place: int, batches: int) -> str:
        clock = self._clock
        attacked, others = clock.done(place)
        images = attacked.images + others.images
        told = f"{images} images in {told_duration(attacked.seconds + others.seconds)}"
        if attacked.images:
            told += f", {attacked.images} of them attacked at {attacked.speed:.3g} images/s"
        return f"{clock.name(place)}: {told}; run {clock.left_of_run(place, batches)} left"


def pass_progress() -> ProgressBar:
    """Return a bar for a terminal, lines for anything else."""
    return PassProgressBar() if sys.stdout.isatty() else PassLines()

"""What Lightning's Trainer and the callbacks cost per batch, beyond the work itself.

python benchmarks/trainer.py [--rounds 5] [--batches 200]

An experiment with a victim that costs next to nothing runs through the Trainer with the attack
callback; the work (loading, attacking, storing, judging) is timed where it happens. What is left,
less what a run of a quarter of the batches leaves, divided by the difference in batches, is the
price of a batch: printed in ms are the least, the median and the greatest of all rounds. The clock
is the process's own time at one thread.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
import time
import warnings
from collections.abc import Callable
from typing import Any

import lightning as L
import torch
from timing import spread
from torch import Tensor, nn

from project.attacks import FGSM
from project.callbacks import AttackCallback
from project.callbacks.experiment.images_of_a_pass import PassImages
from project.data import ShapesData
from project.evaluation import TransferEvaluation
from project.victims import ClassificationVictim

SIZE, BATCH = 32, 4


class Stopwatch:
    """The time spent inside of functions, from the outermost call to its return."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._inside = False

    def watched(self, work: Callable[..., Any]) -> Callable[..., Any]:
        """Return the same function under the watch."""

        def run(*arguments: Any, **named: Any) -> Any:
            if self._inside:
                return work(*arguments, **named)
            self._inside, start = True, time.process_time()
            try:
                return work(*arguments, **named)
            finally:
                self._inside = False
                self.seconds += time.process_time() - start

        return run


class MeanColour(nn.Module):
    """Logits of the mean colour."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(3, 6)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, 6)."""
        logits: Tensor = self.head(images.mean((2, 3)))
        return logits


def left_over(batches: int, watch: Stopwatch) -> float:
    """Return the seconds of an experiment that are not spent on its work."""
    data = ShapesData(
        "classification", size=SIZE, num_test=BATCH * batches, batch_size=BATCH, verify=False
    )
    evaluation = TransferEvaluation({"null": ClassificationVictim(MeanColour(), 6)}, ["mse"])
    with tempfile.TemporaryDirectory() as folder:
        trainer = L.Trainer(
            accelerator="cpu",
            devices=1,
            logger=False,
            enable_progress_bar=False,
            enable_checkpointing=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            default_root_dir=folder,
            callbacks=[AttackCallback({"fgsm": FGSM()}, store=folder, threads=1)],
        )
        watch.seconds, start = 0.0, time.process_time()
        trainer.test(evaluation, datamodule=data, verbose=False)
        return time.process_time() - start - watch.seconds


def main() -> None:
    """Measure and print one line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batches", type=int, default=200)
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    watch = Stopwatch()
    samples = type(ShapesData("classification", size=SIZE).samples)
    for owner, name in (
        (PassImages, "__call__"),
        (TransferEvaluation, "test_step"),
        (TransferEvaluation, "on_test_epoch_end"),
        (samples, "__getitem__"),
    ):
        setattr(owner, name, watch.watched(getattr(owner, name)))
    few, many = options.batches // 4, options.batches
    left_over(few, watch)
    rounds = [
        1000 * (left_over(many, watch) - left_over(few, watch)) / (2 * (many - few))
        for _ in range(options.rounds)
    ]
    print(f"Trainer and callbacks: {spread(rounds)} ms a batch")


if __name__ == "__main__":
    main()

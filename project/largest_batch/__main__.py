"""Find the largest batch of each attack that fits into this machine's memory.

python -m project.largest_batch --config DATA --config VICTIMS --config ATTACKS
    [--memory 8GiB] [--most 256]

The configs are those of ``attack.py``. For each attack and source the largest ``max_batch`` is
printed that stays below ``--memory``, at most ``--most``. On a GPU it is found by trying whole
attacks on more and more images, until that or the device's memory is spent. On a CPU, where trying
would bring the machine down, the attack is run on one image and on two, all tensors that live at
the same time are counted, and each further image is assumed to add as much as the second does.
Memory in use before (weights, data, Python) and operations' temporary workspace are not counted,
so leave room for them.

Every image takes part to the end, as labels are what the victim itself predicts. Write the number
into a config as ``attack.max_batch``: an experiment never chooses it while it runs, since a sum's
last bits depend on the size of a batch, and results must not depend on a machine's other load.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from lightning.pytorch.cli import LightningArgumentParser
from torch import Tensor, nn

from project.attacks import Attack
from project.callbacks import AttackCallback
from project.callbacks.common import callbacks_of
from project.cli.attack import AttackCLI
from project.cli.defaults import completed
from project.core.errors import InputError, plain_errors
from project.core.logits import logits_of
from project.core.losses import VOID, valid_elements
from project.data import AttackDataModule
from project.data.loader import collate
from project.data.sample_set import SampleSet
from project.evaluation import Pass, TransferEvaluation, plan_passes
from project.largest_batch.memory import peaks
from project.victims.acceleration import accelerated

_UNITS = {"KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


@dataclass(frozen=True)
class Fitting:
    """The largest batch of one attack on one source.

    Attributes:
        step: the attack and source.
        count: images in the largest batch; 0: not even one fits.
        peak: peak memory in bytes of that batch, or of one image where none fits.
    """

    step: Pass
    count: int
    peak: float


@dataclass(frozen=True)
class Setup:
    """The data, the victim and the device of an attack."""

    samples: SampleSet
    victim: nn.Module
    device: torch.device


class LargestBatchCLI(AttackCLI):
    """The experiment's command line, with the search's memory limit."""

    command = "largest-batch"

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Add the search's arguments."""
        super().add_arguments_to_parser(parser)
        parser.add_argument("--memory", default="8GiB", help="to stay below")
        parser.add_argument("--most", type=int, default=256, help="images that are enough")

    def before_instantiate_classes(self) -> None:
        """Refuse an empty search range, before victims are trained or read."""
        if self.config.most < 1:
            raise InputError(
                f"most must be at least 1 image, got {self.config.most}. Give a larger --most."
            )
        super().before_instantiate_classes()


def largest_fitting(fits: Callable[[int], bool], most: int) -> int:
    """Return the largest number up to ``most`` that fits, by doubling and then by bisection.

    Args:
        fits: whether a number from 1 on fits; monotone: anything smaller than a fit fits too.
        most: at least 1.

    Returns:
        0 if not even 1 fits.
    """
    low, high = 0, 1
    while high <= most and fits(high):
        low, high = high, 2 * high
    high = min(high, most + 1)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def bytes_of(text: str) -> int:
    """Convert an amount such as ``8GiB`` to bytes.

    Raises:
        ValueError: if the text is not such an amount.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]iB)", text)
    if found is None:
        raise InputError(f"memory must be a number of KiB, MiB or GiB such as 8GiB, got {text!r}.")
    return int(float(found[1]) * _UNITS[found[2]])


def resisting_batch(
    samples: SampleSet, victim: nn.Module, count: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Return images, targets and ids of a batch that the victim classifies correctly.

    So no image leaves the attack at its start: labels are the victim's own predictions; void stays
    void. A data set that is too small is repeated.
    """
    batch = collate([samples[place % len(samples)] for place in range(count)])
    images, labels = batch["image"].to(device), batch["target"].to(device)
    with torch.no_grad():  # one by one, so that this needs no more memory than the attack
        predicted = torch.cat([logits_of(victim(image[None])).argmax(1) for image in images])
    return images, predicted.where(valid_elements(labels), VOID), batch["index"]


def fitting(step: Pass, attack: Attack, setup: Setup, limit: int, most: int) -> Fitting:
    """Find the largest batch of an attack on a source."""

    def work(count: int) -> None:
        attack.run(setup.victim, *resisting_batch(setup.samples, setup.victim, count, setup.device))

    peak = peaks(work, setup.device)
    count = largest_fitting(lambda count: peak(count) <= limit, most)
    return Fitting(step, count, peak(max(1, count)))


def fittings(cli: LargestBatchCLI) -> Iterator[Fitting]:
    """Find the largest batch of each attack on each source."""
    samples, device = cli.datamodule.samples, cli.trainer.strategy.root_device
    (callback,) = callbacks_of(cli.trainer, AttackCallback)
    for attack in callback.attacks.values():
        attack.attach(samples)
    compared = samples[0]["image"][None].to(device)
    for step in plan_passes(callback.attacks, cli.model.victims, callback.sources):
        if step.clean:
            continue
        source = cli.model.victims[step.source].to(device).eval()
        victim = accelerated(source, callback.acceleration, compared).victim
        with cli.trainer.precision_plugin.forward_context():
            setup = Setup(samples, victim, device)
            limit = bytes_of(cli.config.memory)
            yield fitting(step, callback.attacks[step.attack], setup, limit, cli.config.most)


def main(args: list[str] | None = None) -> None:
    """Print a line for each attack and source.

    Args:
        args: command line; None is ``sys.argv``.
    """
    for one in completed(sys.argv[1:] if args is None else args):
        _print_fittings(one)


def _print_fittings(args: list[str]) -> None:
    cli = LargestBatchCLI(
        TransferEvaluation,
        datamodule_class=AttackDataModule,
        trainer_defaults={
            "logger": False,
            "enable_checkpointing": False,
            "enable_model_summary": False,
            "enable_progress_bar": False,
        },
        args=args,
        run=False,
    )
    cli.datamodule.setup("test")
    for found in fittings(cli):
        size = f"{found.peak / 2**20:9.1f} MiB"
        print(f"{found.step!s:40} max_batch {found.count:5}   {size}", flush=True)


if __name__ == "__main__":
    with plain_errors("Nothing was written: the same command begins anew."):
        main()

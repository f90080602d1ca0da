"""What a step of adversarial training costs beside bare forward and backward passes.

python benchmarks/adversarial_training.py [--rounds 9] [--steps 7] [--images 8] [--size 64]

The victim is timm's ResNet-18 with random weights, so that this tells of cost and of nothing else.
The unit is one pass: forward and backward of the plain loss in train mode, with the gradient of all
weights. Each contestant is timed right after bare passes (A B A C …); printed are the least, the
median and the greatest ratio of all rounds. A contestant is counted in passes: PGD-K has K + 1,
Fast-AT and AWP two, a replay of Free-AT one. The last line is a training of PGD-K through
Lightning's Trainer, with callback, logging, optimiser and schedule, beside a bare loop that makes
the same steps. On a CPU the clock is the process's own time at one thread.
"""

from __future__ import annotations

import argparse
import logging
import warnings
from dataclasses import dataclass
from statistics import median
from types import SimpleNamespace
from typing import Any

import lightning as L
import torch
from timing import Work, interleaved, now, seconds
from torch import Tensor
from torch.utils.data import DataLoader

from project.attacks import FGSM, PGD, Attack
from project.callbacks import AdversarialBatches, FreeAdversarialBatches
from project.data import ShapesData
from project.training import ClassifierTraining
from project.training.optimisation import make_optimizer
from project.training.robust import AWP, AdversarialLoss, RobustLoss
from project.victims import TimmVictim

EPS = 8 / 255
REPLAYS = 4
TRAINER_STEPS = 4


@dataclass(frozen=True)
class Contestant:
    """Something to time, and how many passes it is."""

    work: Work
    passes: int


class Scene:
    """A victim's training and a batch of random images to train it on.

    Args:
        images: of the batch.
        size: their height and width.
        device: where they are.
    """

    def __init__(self, images: int, size: int, device: torch.device) -> None:
        self.device = device
        self.victim = TimmVictim("resnet18", pretrained=False, num_classes=10).to(device)
        self.batch = {
            "image": torch.rand(images, 3, size, size).mul(255).round().div(255).to(device),
            "target": (torch.arange(images) % 10).to(device),
            "index": torch.arange(images),
        }

    def training(self, robust: RobustLoss | None) -> ClassifierTraining:
        """Return a training of the one victim."""
        module = ClassifierTraining(self.victim, robust=robust, optimizer="sgd", learning_rate=1e-4)
        return module.to(self.device).train()

    def plain(self) -> Work:
        """Return one pass."""
        module = self.training(None)
        return lambda: self.step(module, self.batch)

    def attacked(self, attack: Attack, robust: RobustLoss) -> Work:
        """Return one step on images that are attacked for it."""
        module, batch = self.training(robust), self.batch

        def work() -> None:
            images = attack(self.victim, batch["image"], batch["target"], batch["index"])
            self.step(module, {**batch, "adversarial": images})

        return work

    def perturbed(self) -> Work:
        """Return one step at perturbed weights, on images that are there."""
        module = self.training(AWP(AdversarialLoss()))
        return lambda: self.step(module, {**self.batch, "adversarial": self.batch["image"]})

    def free(self) -> Work:
        """Return all replays of one batch."""
        module, numbers = self.training(AdversarialLoss()), iter(range(1_000_000))
        callback = FreeAdversarialBatches({"fgsm": FGSM()}, eps=EPS, replays=REPLAYS)

        def work() -> None:
            trainer: Any = SimpleNamespace(current_epoch=next(numbers))
            for _ in range(REPLAYS):
                batch = dict(self.batch)
                callback.on_train_batch_start(trainer, module, batch, 0)
                self.step(module, batch)
                callback.on_after_backward(trainer, module)

        return work

    def step(self, module: ClassifierTraining, batch: dict[str, Tensor]) -> None:
        """Run forward and backward, and forget the gradient."""
        module.loss(batch).backward()  # type: ignore[no-untyped-call]
        module.zero_grad()


class Ready(ShapesData):
    """One batch, there before the clock starts, again and again.

    Args:
        batch: what training is given.
    """

    def __init__(self, batch: dict[str, Tensor]) -> None:
        super().__init__()
        self.batch = batch

    def train_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        """Return the steps of a run."""
        return DataLoader([self.batch] * TRAINER_STEPS, batch_size=None)  # type: ignore[arg-type]


class Clock(L.Callback):
    """Times a run from its first to its last step, without what is built before and after."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.seconds = 0.0

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start."""
        self.seconds = -now(self.device)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop."""
        self.seconds += now(self.device)


def trained(scene: Scene, attack: Attack) -> float:
    """Return how long all steps take through Lightning."""
    clock = Clock(scene.device)
    trainer = L.Trainer(
        accelerator="auto" if scene.device.type == "cuda" else "cpu",
        devices=1,
        max_epochs=1,
        callbacks=[AdversarialBatches({"pgd": attack}), clock],
        logger=False,
        limit_val_batches=0,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
    )
    trainer.fit(scene.training(AdversarialLoss()), datamodule=Ready(scene.batch))
    return clock.seconds


def looped(scene: Scene, attack: Attack) -> Work:
    """Return the same steps in a bare loop."""
    optimizer = make_optimizer(scene.victim.parameters(), "sgd", 1e-4, 0.0)
    step = scene.attacked(attack, AdversarialLoss())

    def work() -> None:
        for _ in range(TRAINER_STEPS):
            step()
            optimizer.step()

    return work


def contestants(scene: Scene, steps: int) -> dict[str, Contestant]:
    """Return all that is timed beside bare passes."""
    pgd = PGD(eps=EPS, step_size=EPS / 4, steps=steps)
    fast = PGD(eps=EPS, step_size=1.25 * EPS, steps=1)
    plain = AdversarialLoss()
    return {
        # Against itself: how far a ratio of 1 is off on this machine.
        "a pass": Contestant(scene.plain(), 1),
        f"PGD-{steps} training": Contestant(scene.attacked(pgd, plain), steps + 1),
        "Fast-AT": Contestant(scene.attacked(fast, plain), 2),
        f"Free-AT, {REPLAYS} replays": Contestant(scene.free(), REPLAYS),
        "AWP alone": Contestant(scene.perturbed(), 2),
    }


def tell(name: str, ratios: list[float], unit: str) -> None:
    """Print a line of ratios."""
    spread = f"{min(ratios):6.3f} – {median(ratios):6.3f} – {max(ratios):6.3f}"
    print(f"{name:28}{spread}  {unit}")


def main() -> None:
    """Measure all contestants and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--steps", type=int, default=7)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")  # Lightning's advice on loaders
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    scene = Scene(options.images, options.size, device)
    timed = contestants(scene, options.steps)
    works = {name: contestant.work for name, contestant in timed.items()}
    pairs = interleaved(works, scene.plain(), options.rounds, device)
    bare = median(before for measured in pairs.values() for before, _ in measured)
    print(f"{options.images} × {options.size}², {device}: a pass takes {1000 * bare:.1f} ms")
    for name, contestant in timed.items():
        ratios = [own / before for before, own in pairs[name]]
        tell(name, ratios, "× a pass")
        if contestant.passes > 1:
            tell("", [ratio / contestant.passes for ratio in ratios], "the same, per pass")
    pgd = PGD(eps=EPS, step_size=EPS / 4, steps=options.steps)
    loop = looped(scene, pgd)
    through = [trained(scene, pgd) / seconds(loop, device) for _ in range(options.rounds // 2)]
    tell(f"PGD-{options.steps} by the Trainer", through, "× a bare loop")


if __name__ == "__main__":
    main()

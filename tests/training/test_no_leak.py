"""Nothing of an attack leaks into the training: it equals a loop written by hand, bit for bit."""

import copy
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from lightning.pytorch import Callback, Trainer
from torch import Tensor, nn

from project.attacks import PGD, SSTA, Attack, KullbackLeibler, SegPGD
from project.callbacks import AdversarialBatches
from project.core.losses import differentiable_kl
from project.training.robust import MART, TRADES, AdversarialLoss
from tests.processes import together
from tests.training.robust_scene import (
    IGNORED,
    Batch,
    Recorder,
    Seeder,
    fit,
    make_data,
    make_training,
    make_victim,
    of_epoch,
    seed_step,
)

pytestmark = [pytest.mark.filterwarnings(ignored) for ignored in IGNORED]

EPS, RATE, PER_EPOCH = 8 / 255, 0.1, 4
both_tasks = pytest.mark.parametrize("task", ["classification", "segmentation"])


def pgd() -> PGD:
    return PGD(EPS, step_size=4 / 255, steps=2)


@cache
def clean_batches(task: str) -> list[Batch]:
    """Return the batches of two epochs, as a training without attack sees them."""
    recorder = Recorder()
    fit(make_training(task, None), make_data(task), [recorder])
    return recorder.batches


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    return F.cross_entropy(logits, target, ignore_index=255)


def adversarial_loss(victim: nn.Module, batch: Batch) -> Tensor:
    return cross_entropy(victim(batch["adversarial"]), batch["target"])


def trades_loss(victim: nn.Module, batch: Batch) -> Tensor:
    clean, adversarial = victim(batch["image"]), victim(batch["adversarial"])
    kl = differentiable_kl(clean, adversarial)[batch["target"] != 255]
    return cross_entropy(clean, batch["target"]) + 3 * kl.mean()


LOSSES = {"adversarial": AdversarialLoss(), "trades": TRADES(3.0)}
BY_HAND = {"adversarial": adversarial_loss, "trades": trades_loss}
ATTACKS = {"adversarial": pgd(), "trades": PGD(EPS, 4 / 255, 2, objective=KullbackLeibler())}


def by_hand(
    task: str, name: str, accumulate: int = 1, clip: float | None = None, half: bool = False
) -> dict[str, Tensor]:
    """Train without Lightning, on images made with a deep copy of the network; return its state."""
    victim = make_victim(task).to(memory_format=torch.channels_last).train()
    trained = [p for p in victim.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, RATE, momentum=0.9, nesterov=True)
    for number, batch in enumerate(clean_batches(task)):
        epoch, place = divmod(number, PER_EPOCH)
        # Lightning caches no weights in half precision, where two passes' gradients would add up.
        with torch.autocast("cpu", torch.bfloat16, enabled=half, cache_enabled=False):
            images = batch["image"], batch["target"], batch["index"]
            attack = of_epoch(ATTACKS[name], epoch)
            made = {"adversarial": attack(copy.deepcopy(victim), *images)}
            seed_step(epoch, place)
            loss = BY_HAND[name](victim, batch | made) / accumulate
        loss.backward()
        if (number + 1) % accumulate == 0:
            if clip is not None:
                torch.nn.utils.clip_grad_norm_(trained, clip)
            optimizer.step()
            optimizer.zero_grad()
    return victim.state_dict()


def by_lightning(task: str, name: str, **arguments: Any) -> dict[str, Tensor]:
    callbacks = [Seeder(), AdversarialBatches({"attack": ATTACKS[name]})]
    training = fit(make_training(task, LOSSES[name]), make_data(task), callbacks, **arguments)
    return training.victim.state_dict()


WAYS = {
    "plainly": ({}, {}),
    "accumulating": ({"accumulate": 2}, {"accumulate_grad_batches": 2}),
    "clipping": ({"clip": 0.05}, {"gradient_clip_val": 0.05}),
    "in half precision": ({"half": True}, {"precision": "bf16-mixed"}),
    "all at once": (
        {"accumulate": 2, "clip": 0.05, "half": True},
        {"accumulate_grad_batches": 2, "gradient_clip_val": 0.05, "precision": "bf16-mixed"},
    ),
}


@pytest.mark.parametrize(
    ("task", "name"), [("classification", "trades"), ("segmentation", "adversarial")]
)
@pytest.mark.parametrize("way", WAYS)
def test_weights_and_statistics_are_those_of_a_loop_by_hand(task: str, name: str, way: str):
    mine, lightnings = WAYS[way]
    found, expected = by_lightning(task, name, **lightnings), by_hand(task, name, **mine)
    start = make_victim(task).state_dict()
    assert found.keys() == expected.keys()
    # channels_last kernels may sum in another order
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)
    moved = {key for key in found if not torch.equal(found[key], start[key])}
    still = {key for key in found if key.startswith(("network.3.", "network.4."))}  # frozen
    assert len(still) == 7
    assert moved == set(found) - still
    passes = 2 * PER_EPOCH * (1 if name == "adversarial" else 2)
    assert found["network.1.num_batches_tracked"] == passes


class Before(Callback):
    """Remembers all that an attack must leave alone; stands before the attack."""

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.state = everything(pl_module)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int, loader: int = 0
    ) -> None:
        self.state = everything(pl_module)


class After(Callback):
    """Compares; stands after the attack."""

    def __init__(self, before: Before) -> None:
        self.before = before
        self.compared = self.with_gradient = 0

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.compare(pl_module, batch)

    def on_validation_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int, loader: int = 0
    ) -> None:
        self.compare(pl_module, batch)

    def compare(self, module: nn.Module, batch: Batch) -> None:
        old, new = self.before.state, everything(module)
        assert old.keys() == new.keys()
        for name, value in new.items():
            if isinstance(value, Tensor):
                assert torch.equal(value, old[name]), name
            else:
                assert value == old[name], name
        assert not any(values.requires_grad for values in batch.values())
        self.compared += 1
        self.with_gradient += any(key.startswith("gradient") for key in new)


def everything(module: nn.Module) -> dict[str, Any]:
    """Return values, gradients and flags of a module, and the states of global randomness."""
    found: dict[str, Any] = {f"value {n}": v.clone() for n, v in module.state_dict().items()}
    for name, parameter in module.named_parameters():
        found[f"trained {name}"] = parameter.requires_grad
        if parameter.grad is not None:
            found[f"gradient {name}"] = parameter.grad.clone()
    for name, part in module.named_modules():
        found[f"training {name}"] = part.training
    state = np.random.get_state()
    found["torch"] = torch.get_rng_state()
    found["numpy"] = (state[1].tolist(), *state[2:])  # type: ignore[index]
    found["python"] = random.getstate()
    return found


@both_tasks
@pytest.mark.parametrize("combine", ["max", "average", "random"])
def test_attack_leaves_weights_gradients_flags_statistics_and_randomness_alone(
    task: str, combine: Any
):
    segmentation = task == "segmentation"
    attacks: dict[str, Attack] = {"pgd": SegPGD(steps=2) if segmentation else pgd()}
    attacks["ssta"] = SSTA(steps=2, step_size=0.2)
    before = Before()
    after = After(before)
    attack = AdversarialBatches(attacks, combine=combine)
    fit(
        make_training(task, MART()),
        make_data(task),
        [Seeder(), before, attack, after],
        accumulate_grad_batches=2,
        num_sanity_val_steps=0,
        limit_val_batches=1.0,
    )
    assert after.compared == 2 * (PER_EPOCH + 2)
    assert after.with_gradient >= 4  # at least the second batch of each pair finds the first's


class Witness(Callback):
    """Keeps the victim as it is before each training step."""

    def __init__(self) -> None:
        self.victims: list[nn.Module] = []

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: Any, batch: Batch, batch_idx: int
    ) -> None:
        self.victims.append(copy.deepcopy(pl_module.victim))


@both_tasks
def test_images_are_made_of_the_current_weights_and_stay_in_the_budget(task: str):
    witness, recorder = Witness(), Recorder()
    callbacks = [AdversarialBatches({"pgd": pgd()}), witness, recorder]
    fit(make_training(task, AdversarialLoss()), make_data(task), callbacks)
    for number, batch in enumerate(recorder.batches):
        arguments = batch["image"], batch["target"], batch["index"]
        attack = of_epoch(pgd(), number // PER_EPOCH)
        found = batch["adversarial"]
        assert torch.equal(found, attack(witness.victims[number], *arguments))
        assert number == 0 or not torch.equal(found, attack(witness.victims[0], *arguments))
        assert (found - batch["image"]).abs().max() <= EPS + 1e-6
        assert found.min() >= 0
        assert found.max() <= 1


@both_tasks
def test_order_and_augmentation_are_those_of_a_training_without_attack(task: str):
    recorder = Recorder()
    attack = AdversarialBatches({"pgd": pgd(), "ssta": SSTA(steps=1)})
    fit(make_training(task, TRADES()), make_data(task), [attack, recorder])
    assert len(recorder.batches) == 2 * PER_EPOCH
    for found, expected in zip(recorder.batches, clean_batches(task), strict=True):
        for name, values in expected.items():
            assert torch.equal(found[name], values)


def test_epochs_draw_differently_and_every_run_alike():
    still = make_training("classification", AdversarialLoss())
    still.learning_rate = 0.0  # so that images differ by what is drawn alone
    still.victim.network[1].momentum = 0.0
    data = make_data("classification", augment=None, batch_size=16)
    runs = []
    for _ in range(2):
        recorder = Recorder()
        torch.manual_seed(len(runs))
        start = PGD(EPS, step_size=1e-9, steps=1)
        fit(copy.deepcopy(still), data, [AdversarialBatches({"start": start}), recorder])
        runs.append([batch["adversarial"][batch["index"].argsort()] for batch in recorder.batches])
    assert torch.equal(torch.stack(runs[0]), torch.stack(runs[1]))
    assert not torch.equal(runs[0][0], runs[0][1])


def distributed(folder: Path) -> None:
    """Train a victim without BatchNorm on two processes, and save what each saw and became."""
    training = make_training("classification", AdversarialLoss())
    training.victim.network[1] = nn.GroupNorm(2, 8)  # statistics would be those of a rank
    recorder = Recorder()
    callbacks = [Seeder(), AdversarialBatches({"pgd": pgd()}), recorder]
    arguments = {"devices": 2, "strategy": "ddp", "gradient_clip_val": 0.05}
    fit(training, make_data("classification"), callbacks, accumulate_grad_batches=2, **arguments)
    saved = {"batches": recorder.batches, "state": training.victim.state_dict()}
    torch.save(saved, folder / f"{training.global_rank}.pt")


@pytest.mark.slow
def test_two_processes_train_as_a_loop_by_hand_over_both_their_batches(tmp_path: Path):
    together(distributed, tmp_path)
    first, second = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    victim = make_victim("classification").to(memory_format=torch.channels_last)
    victim.network[1] = nn.GroupNorm(2, 8)
    victim.train()
    trained = [p for p in victim.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, RATE, momentum=0.9, nesterov=True)
    assert len(first["batches"]) == PER_EPOCH  # two epochs of two batches on each process
    for number, pair in enumerate(zip(first["batches"], second["batches"], strict=True)):
        epoch, place = divmod(number, 2)
        for batch in pair:
            arguments = batch["image"], batch["target"], batch["index"]
            made = of_epoch(pgd(), epoch)(copy.deepcopy(victim), *arguments)
            same = (made == batch["adversarial"]).float().mean()
            assert same == 1 if number == 0 else same > 0.999  # weights agree to rounding by then
            seed_step(epoch, place)
            (cross_entropy(victim(made), batch["target"]) / 4).backward()
        if place == 1:
            torch.nn.utils.clip_grad_norm_(trained, 0.05)
            optimizer.step()
            optimizer.zero_grad()
    for rank in (first, second):
        torch.testing.assert_close(rank["state"], victim.state_dict(), rtol=0, atol=1e-6)

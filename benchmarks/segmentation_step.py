"""What one step of each segmentation attack costs beside a step of PGD, in time and in memory.

python benchmarks/segmentation_step.py [--rounds 15] [--size 256] [--classes 21] [--device cuda]

Two victims with random weights, so that this tells of cost and of nothing else: smp's Unet on a
ResNet-18, and a null model (one 1×1 convolution), next to which the objectives themselves are seen.
A step is a forward and a backward pass with the objective; clean logits, which stage 2 of
TranSegPGD asks for once a run, are there before the clock starts. Each contestant is timed right
after a step of PGD (A B A C …): least, median and greatest ratio are printed. On a CPU the clock
is the process's own time at one thread. Memory is what autograd keeps for the backward pass and, on
a GPU, the peak of a step above what was there before it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median

import torch
from timing import Work, interleaved, spread
from torch import Tensor, nn

from project.attacks import PGD, CosPGD, SegPGD, TranSegPGD
from project.attacks.gradient.attack import GradientRecipe
from project.attacks.gradient.objectives import (
    BalancedCrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
)
from project.core.randomness import Draws
from project.victims import SmpVictim

CONTESTANTS: dict[str, GradientRecipe] = {
    "PGD": PGD(),  # against itself: how far a ratio of 1 is off on this machine
    "SegPGD": SegPGD(),
    "CosPGD": CosPGD(),
    "TranSegPGD, stage 1": TranSegPGD(stage_switch=1.0),
    "TranSegPGD, stage 2": TranSegPGD(stage_switch=0.0),
    "masked cross-entropy": PGD(objective=MaskedCrossEntropy()),
    "balanced cross-entropy": PGD(objective=BalancedCrossEntropy()),
    "Jensen-Shannon": PGD(objective=JensenShannon()),
}


def step_of(attack: GradientRecipe, victim: nn.Module, images: Tensor, target: Tensor) -> Work:
    """Return what runs the second step of an attack; the first is run here and now."""
    draws = Draws(torch.arange(len(images)), 0)
    landscape = attack.built().landscape(victim, images, target, draws)
    perturbation = torch.full_like(images, 1 / 255)
    landscape.value_and_gradient(perturbation, 1)
    return lambda: landscape.value_and_gradient(perturbation, 2)


def saved_bytes(work: Work) -> int:
    """Return how much memory autograd keeps for the backward pass, shared memory counted once."""
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        work()
    return sum(storages.values())


def peak_bytes(work: Work, device: torch.device) -> int:
    """Return the peak of a GPU's memory above what was in use before."""
    torch.cuda.reset_peak_memory_stats(device)
    before = torch.cuda.memory_allocated(device)
    work()
    return torch.cuda.max_memory_allocated(device) - before


def report(name: str, victim: nn.Module, images: Tensor, target: Tensor, rounds: int) -> None:
    """Measure all contestants on one victim and print a line for each."""
    device = images.device
    works = {key: step_of(attack, victim, images, target) for key, attack in CONTESTANTS.items()}
    pgd = works["PGD"]
    pairs = interleaved(works, pgd, rounds, device)
    reference = median(before for measured in pairs.values() for before, _ in measured)
    print(f"\n{name}: a step of PGD takes {1000 * reference:.1f} ms")
    for key, work in works.items():
        ratios = spread([own / before for before, own in pairs[key]])
        extra = 1000 * median(own - before for before, own in pairs[key])
        line = f"{key:24}{ratios} × PGD {extra:+7.2f} ms   saved {_ratio(saved_bytes, work, pgd)}"
        if device.type == "cuda":
            line += f"   peak {_ratio(lambda step: peak_bytes(step, device), work, pgd)}"
        print(line)


def _ratio(measure: Callable[[Work], int], work: Work, pgd: Work) -> str:
    own, reference = measure(work), measure(pgd)
    return f"{own / 2**20:7.1f} MiB ({own / reference:.3f} ×)"


def main() -> None:
    """Measure both victims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=1)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--classes", type=int, default=21)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    images = torch.rand(options.images, 3, options.size, options.size).mul(255).round() / 255
    target = torch.randint(0, options.classes, images[:, 0].shape)
    target[:, : options.size // 16] = 255
    images, target = images.to(device), target.to(device)
    print(f"{options.images} × {options.size}², {options.classes} classes, {device}")
    victims: dict[str, nn.Module] = {
        "Unet, ResNet-18": SmpVictim("Unet", "resnet18", options.classes),
        "null model": nn.Conv2d(3, options.classes, 1),
    }
    for name, victim in victims.items():
        frozen = victim.to(device).eval().requires_grad_(False)
        report(name, frozen, images, target, options.rounds)


if __name__ == "__main__":
    main()

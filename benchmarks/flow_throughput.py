"""SSTA on a batch against a loop over single images, all with the same steps; ratios in one run.

python benchmarks/flow_throughput.py [--images 32] [--steps 10] [--size 224] [--network NAME]

Random weights and images and no early stop, so that everybody does the same work: this tells of
speed and of nothing else. The loop is what research code does: one image, grid_sample, Adam, a
forward pass for the gradient and another one to see whether the image has succeeded. "bare" is the
network's forward and backward pass alone, on the batch and image by image: what batching itself is
worth on this machine, and so the most that a batched attack can gain over a loop without overhead.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import timm
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.attacks import SSTA
from project.core.losses import margin
from project.victims import ClassificationVictim

ROUNDS = 3


def everywhere(images: Tensor) -> Tensor:
    """Return maps that are salient everywhere."""
    return torch.ones_like(images[:, :1])


def looped(victim: nn.Module, images: Tensor, target: Tensor, steps: int) -> Tensor:
    """Attack images one at a time with grid_sample and Adam."""
    return torch.cat(
        [
            _one(victim, images[place : place + 1], target[place : place + 1], steps)
            for place in range(len(images))
        ]
    )


def _one(victim: nn.Module, image: Tensor, target: Tensor, steps: int) -> Tensor:
    height, width = image.shape[2:]
    rows, columns = torch.meshgrid(
        torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij"
    )
    grid = torch.stack([columns, rows], -1)[None]
    scale = torch.tensor([2 / (width - 1), 2 / (height - 1)])
    flow = torch.zeros(1, height, width, 2, requires_grad=True)
    optimizer = torch.optim.Adam([flow], lr=0.01)
    for _ in range(steps):
        moved = F.grid_sample(image, grid + flow * scale, align_corners=True, padding_mode="border")
        loss = margin(victim(moved), target).clamp(min=0).sum()
        (flow.grad,) = torch.autograd.grad(loss, flow)
        optimizer.step()
        with torch.no_grad():
            flow.clamp_(-1, 1)
            moved = F.grid_sample(
                image, grid + flow * scale, align_corners=True, padding_mode="border"
            )
            victim(moved).argmax(1)
    return moved


def bare(victim: nn.Module, images: Tensor, target: Tensor, steps: int, batch: int) -> None:
    """Run the network's forward and backward pass, and nothing else."""
    for _ in range(steps):
        for place in range(0, len(images), batch):
            part = images[place : place + batch].clone().requires_grad_()
            losses = margin(victim(part), target[place : place + batch])
            torch.autograd.grad(losses.sum(), part)


def seconds(work: Callable[[], object]) -> float:
    """Return how long something takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    """Measure all contestants in turn, several times, and print the medians."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--network", default="mobilenetv2_100")
    options = parser.parse_args()
    torch.manual_seed(0)
    network = timm.create_model(options.network, num_classes=1000)
    victim = ClassificationVictim(network, 1000).eval().requires_grad_(False)
    images = torch.rand(options.images, 3, options.size, options.size).mul(255).round() / 255
    # The class in the lead is never the loser's: no image succeeds, and all take every step.
    target = victim(images).argmin(1)
    attack = SSTA(everywhere, "repaired", steps=options.steps, targeted=True, early_stop=False)

    def one_by_one() -> None:
        for place in range(len(images)):
            attack(victim, images[place : place + 1], target[place : place + 1])

    contestants: dict[str, Callable[[], object]] = {
        "loop over images": lambda: looped(victim, images, target, options.steps),
        "Mirage, batch": lambda: attack(victim, images, target),
        "Mirage, one image at a time": one_by_one,
        "bare, batch": lambda: bare(victim, images, target, options.steps, len(images)),
        "bare, batches of 8": lambda: bare(victim, images, target, options.steps, 8),
        "bare, one image at a time": lambda: bare(victim, images, target, options.steps, 1),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(ROUNDS):
        for name, work in contestants.items():
            times[name].append(seconds(work))
    medians = {name: sorted(values)[ROUNDS // 2] for name, values in times.items()}
    print(
        f"{options.images} images of {options.size}², {options.steps} steps, {options.network}, "
        f"{torch.get_num_threads()} threads"
    )
    for name, value in medians.items():
        ratio = medians["loop over images"] / value
        print(f"{name:30} {value:7.1f} s   {ratio:5.2f} × the loop's throughput")


if __name__ == "__main__":
    main()

"""What one view of the images costs, in % of a step without on a real network, and in memory.

python benchmarks/views.py [--rounds 15] [--images 4] [--size 224] [--device cuda]

A step is a forward and a backward pass with one view. It is timed on a network that costs nothing
(the mean of all pixels), right after a step without (A B A C …), and the difference told in % of a
step without on timm's ResNet-18 and MobileNetV2, with random weights: so that this tells of the
view alone, which beside the network would be lost in the noise of the clock. Least, median and
greatest of the rounds. On a CPU the clock is the process's own time at one thread. Memory is what
autograd keeps for the backward pass on the real networks, against a step without.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
from segmentation_step import saved_bytes
from timing import Work, beyond, interleaved, spread
from torch import Tensor, nn

from project.attacks import (
    PGD,
    BlockShuffle,
    Deformation,
    Diversity,
    InputTransform,
    RandomAffine,
    StructureInvariant,
)
from project.core.randomness import Draws
from project.victims import TimmVictim

NETWORKS = ("resnet18", "mobilenetv2_100")
CONTESTANTS: dict[str, list[InputTransform]] = {
    "bare": [],  # against itself: how far a ratio of 1 is off on this machine
    "block shuffle": [BlockShuffle()],
    "… both flips": [BlockShuffle(vertical_flip=0.5)],
    "… rotated": [BlockShuffle(rotation=24.0)],
    "… rotated, zeros": [BlockShuffle(rotation=24.0, edges="zeros")],
    "… nearest": [BlockShuffle(rotation=24.0, sampling="nearest")],
    "affine": [RandomAffine()],
    "affine, zeros": [RandomAffine(edges="zeros")],
    "affine, nearest": [RandomAffine(sampling="nearest")],
    "deformation": [Deformation(copies=1)],
    "SIA": [StructureInvariant(copies=1)],
    "DI": [Diversity(1.0)],
}


def step_of(transforms: list[InputTransform], victim: nn.Module, images: Tensor) -> Work:
    """Return what runs one step."""
    index = torch.arange(len(images))
    target = torch.zeros(len(images), dtype=torch.int64, device=images.device)
    attack = PGD(transforms=transforms).built()
    landscape = attack.landscape(victim, images, target, Draws(index, 0))
    perturbation = torch.zeros_like(images)
    return lambda: landscape.value_and_gradient(perturbation, 1)


class Mean(nn.Module):
    """A classifier of two classes that costs next to nothing."""

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (N, 2)."""
        mean = images.mean((1, 2, 3))
        return torch.stack([mean, -mean], 1)


def steps_on(victim: nn.Module, images: Tensor) -> dict[str, Work]:
    """Return what runs a step of each contestant on a victim."""
    frozen = victim.to(images.device).eval().requires_grad_(False)
    return {key: step_of(views, frozen, images) for key, views in CONTESTANTS.items()}


def main() -> None:
    """Measure both victims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    images = torch.rand(options.images, 3, options.size, options.size).mul(255).round() / 255
    images = images.to(device)
    alone = steps_on(Mean(), images)
    real = {name: steps_on(TimmVictim(name, pretrained=False), images) for name in NETWORKS}
    steps = {name: works["bare"] for name, works in real.items()}
    networks = interleaved(steps, alone["bare"], max(3, options.rounds // 5), device)
    length = {name: median(own for _, own in pairs) for name, pairs in networks.items()}
    pairs = interleaved(alone, alone["bare"], options.rounds, device)
    print(f"{options.images} × {options.size}², {device}")
    for name, works in real.items():
        told = 1000 * length[name] / options.images
        print(f"\n{name}: a step without takes {told:.1f} ms an image")
        for key, work in works.items():
            memory = saved_bytes(work) / saved_bytes(works["bare"])
            extra = spread(beyond(pairs[key], 1, length[name]), 2)
            print(f"{key:18}{extra} % of a step   saved {memory:.3f} ×")


if __name__ == "__main__":
    main()

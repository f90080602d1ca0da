"""What a step of PGD costs with each part, beside a step without any.

python benchmarks/parts.py [--rounds 9] [--images 4] [--size 224] [--device cuda]

The victim is timm's ResNet-18 with random weights, so that this tells of cost and of nothing else.
Each contestant is timed right after bare PGD (A B A C …), two steps at a time: least, median and
greatest of the ratios are printed. On a CPU the clock is the process's own time at one thread.
Parts that ask the victim more often (VMI, PGN, GRA, MEF, SI, SSA) are divided by how often they ask
it. Early stop is that of an attack too weak for any image to fall: what looking costs.
peers.py tells what PGD itself adds to its victim's passes.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
from timing import Work, interleaved, spread
from torch import nn

from project.attacks import (
    GRA,
    MEF,
    PGD,
    PGN,
    Diversity,
    Momentum,
    Nesterov,
    ScaleInvariant,
    Spectrum,
    TranslationInvariant,
    Variance,
)
from project.victims import TimmVictim

TI, MI, DI = TranslationInvariant(), Momentum(), Diversity()
STEPS = 2
CONTESTANTS: dict[str, tuple[PGD, float]] = {
    # The second number: how often a step asks the victim.
    "bare": (PGD(steps=STEPS), 1),  # against itself: how far a ratio of 1 is off on this machine
    "MI": (PGD(steps=STEPS, rules=[MI]), 1),
    "NI": (PGD(steps=STEPS, rules=[Nesterov()]), 1),
    "TI": (PGD(steps=STEPS, rules=[TI]), 1),
    "DI": (PGD(steps=STEPS, transforms=[DI]), 1),
    "MI + DI + TI": (PGD(steps=STEPS, rules=[TI, MI], transforms=[DI]), 1),
    "VMI, 2 samples": (PGD(steps=STEPS, rules=[Variance(2), MI]), 2),  # none in the last step
    "PGN, 1 sample": (PGD(steps=STEPS, rules=[PGN(1), MI]), 2),
    "GRA, 1 sample": (PGD(steps=STEPS, rules=[GRA(1), MI]), 2),
    "MEF, 2 samples": (PGD(steps=STEPS, rules=[MEF(2), MI]), 2),
    "SI, 2 copies": (PGD(steps=STEPS, transforms=[ScaleInvariant(2)]), 2),
    "SSA, 2 copies": (PGD(steps=STEPS, transforms=[Spectrum(2)]), 2),
    "early stop": (PGD(1e-6, 1e-6, STEPS, early_stop=True), 1),
}


def works(victim: nn.Module, count: int, size: int, device: torch.device) -> dict[str, Work]:
    """Return what runs each contestant."""
    images = torch.rand(count, 3, size, size).mul(255).round().div(255).to(device)
    with torch.no_grad():
        target, index = victim(images).argmax(1), torch.arange(count)
    return {
        name: lambda attack=attack: attack.perturb(victim, images, target, index)
        for name, (attack, _) in CONTESTANTS.items()
    }


def main() -> None:
    """Measure all contestants and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    victim = TimmVictim("resnet18", pretrained=False).to(device).eval().requires_grad_(False)
    work = works(victim, options.images, options.size, device)
    pairs = interleaved(work, work["bare"], options.rounds, device)
    bare = median(before for measured in pairs.values() for before, _ in measured)
    print(f"{options.images} × {options.size}², {device}: {1000 * bare / STEPS:.1f} ms a step")
    for name, (_, asked) in CONTESTANTS.items():
        print(f"{name:16}{spread([own / before / asked for before, own in pairs[name]])} × bare")


if __name__ == "__main__":
    main()

"""What each option of a victim's fast copy is worth, so that one can choose.

python benchmarks/victim_options.py [--victims resnet18 Unet:resnet18 …] [--images 8] [--size 224]

Names are timm's; ARCHITECTURE:ENCODER is a segmenter of smp. The unit, *bare*, is a forward pass
and the gradient of the image on the victim itself, frozen, in float32. Each copy is timed right
after it (A B A C …): printed are the least, the median and the greatest ratio of all rounds, the
share of the gradient's signs that agree with those of the victim, and what autograd keeps for the
backward pass of an image, without the weights. Weights and images are random, so this tells of
speed and of rounding, not of success. On a CPU the clock is the process's own time at one thread.
Compiled copies are measured with ``--compile``, since compiling takes its time.
"""

from __future__ import annotations

import argparse
from statistics import median

import torch
import torch.nn.functional as F
from timing import Work, interleaved, spread
from torch import Tensor, nn

from project.victims import SmpVictim, TimmVictim, Victim
from project.victims.acceleration import Acceleration, accelerated

CLASSES = 21
PLAIN = Acceleration(fold=False, channels_last=False)
OPTIONS = {
    "bare": PLAIN,  # against itself: how far a ratio of 1 is off on this machine
    "fold": Acceleration(channels_last=False),
    "channels_last": Acceleration(fold=False),
    "fold, channels_last": Acceleration(),
    "bfloat16": Acceleration(fold=False, channels_last=False, precision="bfloat16"),
    "bfloat16, channels_last": Acceleration(fold=False, precision="bfloat16"),
    "bfloat16, fold, channels_last": Acceleration(precision="bfloat16"),
    "checkpoint": Acceleration(fold=False, channels_last=False, checkpoint=True),
    "checkpoint, fold, channels_last": Acceleration(checkpoint=True),
}
COMPILED = {
    "compile": Acceleration(fold=False, channels_last=False, compile="default"),
    "compile, fold, channels_last": Acceleration(compile="default"),
    "all, CUDA graph": Acceleration(precision="bfloat16", compile="reduce-overhead"),
}


def made(name: str) -> Victim:
    """Return a victim with random weights, and norms that have something to normalise."""
    architecture, _, encoder = name.partition(":")
    victim: Victim = (
        SmpVictim(architecture, encoder, CLASSES) if encoder else TimmVictim(architecture)
    )
    for part in victim.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.running_var, 0.5, 2)
            nn.init.normal_(part.running_mean, 0, 0.1)
    return victim.eval().requires_grad_(False)


def slope(victim: nn.Module, images: Tensor) -> Tensor:
    """Return the gradient of the loss of class 0."""
    shown = images.clone().requires_grad_()
    logits = victim(shown)
    loss = F.cross_entropy(logits, torch.zeros_like(logits[:, 0]).long())
    return torch.autograd.grad(loss, shown)[0]


def kept_bytes(victim: nn.Module, images: Tensor) -> int:
    """Return what autograd keeps of a forward pass, weights left out, shared memory once."""
    weights = {value.untyped_storage().data_ptr() for value in victim.state_dict().values()}
    storages: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        storages[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = victim(images.clone().requires_grad_())  # alive, so that no memory is used again
    del logits
    return sum(size for place, size in storages.items() if place not in weights)


def report(name: str, images: Tensor, options: dict[str, Acceleration], rounds: int) -> None:
    """Measure all options on one victim and print a line for each."""
    victim = made(name).to(images.device)
    copies = {key: accelerated(victim, how, images[:2]) for key, how in options.items()}
    works: dict[str, Work] = {
        key: lambda copy=copy: slope(copy.victim, images) for key, copy in copies.items()
    }
    signs = slope(victim, images).sign()
    pairs = interleaved(works, works["bare"], rounds, images.device)
    bare = median(before for measured in pairs.values() for before, _ in measured)
    print(f"\n{name}: a bare step takes {1000 * bare:.0f} ms")
    for key, copy in copies.items():
        ratios = spread([own / before for before, own in pairs[key]])
        agreement = (slope(copy.victim, images).sign() == signs).double().mean()
        kept = kept_bytes(copy.victim, images) / len(images) / 2**20
        told = f"signs {agreement:.5f}  {kept:7.1f} MiB an image"
        print(f"{key:32} {ratios} × bare  {told}  {', '.join(copy.changes)}")


def main() -> None:
    """Measure all victims."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--victims", nargs="+", default=["resnet18", "mobilenetv2_100"])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    images = torch.rand(options.images, 3, options.size, options.size, device=options.device)
    print(f"{options.images} × {options.size}², {options.device}")
    for name in options.victims:
        chosen = OPTIONS | COMPILED if options.compile else OPTIONS
        report(name, images, chosen, options.rounds)


if __name__ == "__main__":
    main()

"""What an evaluation of each flow attack costs beside the bare network and beside public code.

python benchmarks/flow_evaluation.py [--rounds 7] [--images 8] [--size 224] [--steps 4]
    [--network resnet18] [--device cuda]

*Bare* is what the attack asks of the network and nothing else: a forward pass with the gradient of
the input for each step, on frozen weights, and one forward pass at the end. *Public* is the same
attack as public code writes it: ``grid_sample``, torch's optimiser on the batch as one problem,
``backward()`` with the weights not frozen, and a second forward pass in each step to see who has
succeeded. Random weights and a target class that no image comes near, so that nobody leaves: this
tells of speed and of nothing else. AdvDrop asks whether it has succeeded in each step, since that
depends on another image than the gradient does; so does its bare loop.

Each contestant is timed right after its reference (A B A C …): printed are the least, the median
and the greatest ratio of all rounds. On a CPU the clock is the process's own time at one thread.

The second table has a network that costs next to nothing: what is left over is the loop itself, per
evaluation and in per cent of one on the real network. It is the one to compare loops by.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from statistics import median

import timm
import torch
import torch.nn.functional as F
from nothing import Nothing
from timing import Work, beyond, interleaved, spread
from torch import Tensor, nn

from project.attacks import SSTA, AdvDrop, Attack, ChromaShift, StAdv
from project.core.losses import margin
from project.images.colour import chroma, chroma_to_rgb
from project.victims import ClassificationVictim

MANY = 30
"""How many evaluations the loops alone make: L-BFGS costs more once its memory is full."""
Move = Callable[[Tensor, Tensor], Tensor]
"""From images (N, 3, H, W) and a grid's offset (N, H, W, 2) to moved images."""


@dataclass
class Scene:
    """What everybody works on; the target is wanted."""

    victim: nn.Module
    images: Tensor
    target: Tensor
    steps: int


def everywhere(images: Tensor) -> Tensor:
    """Return maps that are salient everywhere."""
    return torch.ones_like(images[:, :1])


def bare(scene: Scene, judged: bool) -> Work:
    """Return the network's passes alone; with a judging pass in each step where ``judged``."""

    def work() -> None:
        for _ in range(scene.steps):
            images = scene.images.clone().requires_grad_()
            losses = margin(scene.victim(images), scene.target)
            torch.autograd.grad(losses.sum(), images)
            if judged:
                look()
        look()

    @torch.no_grad()
    def look() -> None:
        scene.victim(scene.images).argmax(1)

    return work


def sampled(images: Tensor, offset: Tensor) -> Tensor:
    """Return images moved by ``grid_sample``."""
    identity = torch.eye(2, 3, device=images.device).expand(len(images), -1, -1)
    grid = F.affine_grid(identity, list(images.shape), align_corners=True)
    return F.grid_sample(images, grid + offset, align_corners=True, padding_mode="border")


def sampled_chroma(images: Tensor, offset: Tensor) -> Tensor:
    """Return images whose colours are moved."""
    still = chroma(images)
    return (images + chroma_to_rgb(sampled(still, offset) - still)).clamp(0, 1)


def rough(offset: Tensor) -> Tensor:
    """Return stAdv's flow loss of an offset (N, H, W, 2)."""
    across, down = offset.diff(dim=2), offset.diff(dim=1)
    return sum((side.square().sum(-1) + 1e-8).sqrt().sum() for side in (across, down))


def public(scene: Scene, move: Move, weight: float, lbfgs: bool) -> Work:
    """Return an attack as public code writes it."""
    network, images, target = scene.victim, scene.images, scene.target

    def work() -> None:
        offset = images.new_zeros(len(images), *images.shape[2:], 2).requires_grad_()
        moves = torch.optim.LBFGS if lbfgs else torch.optim.Adam
        chosen = {"max_iter": scene.steps, "max_eval": scene.steps} if lbfgs else {"lr": 0.01}
        optimizer = moves([offset], **chosen)

        def closure() -> Tensor:
            optimizer.zero_grad()
            network.zero_grad()
            loss = (-margin(network(move(images, offset)), target)).clamp(min=0).sum()
            loss = loss + weight * rough(offset)
            loss.backward()
            with torch.no_grad():
                network(move(images, offset)).argmax(1)
            return loss

        for _ in range(1 if lbfgs else scene.steps):
            optimizer.step(closure)

    def unfrozen() -> None:
        network.requires_grad_(True)
        work()
        network.requires_grad_(False).zero_grad()

    return unfrozen


def attacked(attack: Attack, scene: Scene) -> Work:
    """Return an attack of ours."""
    index = torch.arange(len(scene.images))
    return lambda: attack.perturb(scene.victim, scene.images, scene.target, index)


def contestants(scene: Scene) -> dict[str, tuple[Attack, Work | None]]:
    """Return our attacks by name, each with the public one."""
    steps = scene.steps
    adam = StAdv(solver="adam", steps=steps, early_stop=False, targeted=True)
    lbfgs = StAdv(1e-4, solver="lbfgs", steps=steps, early_stop=False, targeted=True)
    colours = ChromaShift(steps=steps, early_stop=False, targeted=True)
    salient = SSTA(everywhere, steps=steps, early_stop=False, targeted=True)
    return {
        "stAdv, Adam": (adam, public(scene, sampled, 0.05, lbfgs=False)),
        "stAdv, L-BFGS": (lbfgs, public(scene, sampled, 1e-4, lbfgs=True)),
        "Chroma-Shift": (colours, public(scene, sampled_chroma, 0, lbfgs=False)),
        "SSTA": (salient, public(scene, sampled, 0, lbfgs=False)),
        "AdvDrop": (AdvDrop(steps=steps, targeted=True), None),
    }


def scene_of(network: nn.Module, options: argparse.Namespace) -> Scene:
    """Return a network, images of 8 bits, and the classes furthest away."""
    device = torch.device(options.device)
    victim = ClassificationVictim(network, 1000).to(device).eval().requires_grad_(False)
    images = torch.rand(options.images, 3, options.size, options.size).mul(255).round() / 255
    images = images.to(device)
    with torch.no_grad():
        return Scene(victim, images, victim(images).argmin(1), options.steps)


def unit(attack: Attack, scene: Scene) -> Work:
    """Return what an attack asks of the network."""
    return bare(scene, judged=isinstance(attack, AdvDrop))


def beside(reference: Work, own: Work, scene: Scene, rounds: int) -> list[tuple[float, float]]:
    """Return (reference, own) in seconds, a pair per round."""
    (pairs,) = interleaved({"own": own}, reference, rounds, scene.images.device).values()
    return pairs


def evaluations(scene: Scene, rounds: int) -> float:
    """Print ratios to bare and to public code; return seconds of a bare evaluation."""
    itself = beside(bare(scene, False), bare(scene, False), scene, rounds)
    print(f"{'bare':16}{_ratios(itself)} × bare")
    for name, (attack, other) in contestants(scene).items():
        own = attacked(attack, scene)
        line = f"{name:16}{_ratios(beside(unit(attack, scene), own, scene, rounds))} × bare"
        if other is not None:
            line += f"   {_ratios(beside(other, own, scene, rounds))} × public"
        print(line, flush=True)
    return median(before for before, _ in itself) / scene.steps


def machinery(scene: Scene, rounds: int, real: float) -> None:
    """Print what loops cost beyond a network that costs nothing, per evaluation."""
    print("\nThe loop alone, in % of an evaluation on the real network")
    for name, (attack, _) in contestants(scene).items():
        pairs = beside(unit(attack, scene), attacked(attack, scene), scene, rounds)
        print(f"{name:16}{spread(beyond(pairs, scene.steps, real), 1)} %", flush=True)


def main() -> None:
    """Measure all contestants and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--network", default="resnet18")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    scene = scene_of(timm.create_model(options.network, num_classes=1000), options)
    size, device = f"{options.images} × {options.size}²", scene.images.device
    print(f"{size}, {options.steps} steps, {options.network}, {device}")
    real = evaluations(scene, options.rounds)
    # Steep enough that no search converges, and nobody's target is near.
    null = replace(scene_of(Nothing(1000, gain=1000), options), steps=MANY)
    machinery(null, options.rounds, real)


def _ratios(pairs: list[tuple[float, float]]) -> str:
    return spread([own / reference for reference, own in pairs])


if __name__ == "__main__":
    main()

"""PGD and attacks on segmenters against public packages as they are shipped; ratios in one run.

python benchmarks/peers.py [--rounds 5] [--images 8] [--size 224] [--steps 5] [--device cuda]

The unit, *bare*, is as many forward passes and gradients of the input as the attack has steps, on
frozen weights, in float32. Every contestant is timed right after it (A B A C …): printed are the
least, the median and the greatest ratio of all rounds. Packages get the network as their users
hand it over, in eval mode and not frozen; one that is not installed is named and left out:
``pip install 'mirage-attacks[peers]'``.
Networks have random weights, so this tells of speed and of nothing else. On a CPU the clock is the
process's own time at one thread.

The second table has a network that costs next to nothing: what is left over is the loop itself, per
step and in per cent of a step on the real network.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F
from nothing import Nothing
from timing import Work, beyond, interleaved, spread
from torch import Tensor, nn

from project.attacks import PGD, Attack, CosPGD, SegPGD, TranSegPGD
from project.victims import ClassificationVictim, SmpVictim, TimmVictim, Victim
from project.victims.acceleration import Acceleration, accelerated

EPS, ALPHA = 8 / 255, 2 / 255
CLASSES = 21
PLAIN = Acceleration(fold=False, channels_last=False)
BFLOAT16 = Acceleration(precision="bfloat16")
Scene = tuple[Victim, Tensor, Tensor, int]
"""The network, which normalises inside for everyone, images, target and number of steps."""


def bare(scene: Scene) -> Work:
    """Return the passes alone."""
    network, images, target, steps = scene
    network = network.requires_grad_(False)

    def work() -> None:
        for _ in range(steps):
            part = images.clone().requires_grad_()
            loss = F.cross_entropy(network(part), target, ignore_index=255)
            torch.autograd.grad(loss, part)

    return work


def minimal(scene: Scene) -> Work:
    """Return PGD written by hand with nothing that could be left out."""
    network, images, target, steps = scene

    def work() -> None:
        low, high = (images - EPS).clamp_(min=0), (images + EPS).clamp_(max=1)
        found = images + torch.empty_like(images).uniform_(-EPS, EPS)
        for _ in range(steps):
            found.requires_grad_()
            (gradient,) = torch.autograd.grad(F.cross_entropy(network(found), target), found)
            found = found.detach().add_(gradient.sign_(), alpha=ALPHA).clamp_(low, high)

    return work


def ours(attack: Attack, scene: Scene, how: Acceleration = PLAIN) -> Work:
    """Return one of our attacks on the copy that it would get in an experiment."""
    whole, images, target, _ = scene
    victim = accelerated(whole, how, images).victim
    return lambda: attack(victim, images, target)


def torchattacks(scene: Scene) -> Work:
    """Return torchattacks' PGD."""
    import torchattacks as package  # noqa: PLC0415

    network, images, target, steps = scene
    attack = package.PGD(network, EPS, ALPHA, steps)
    return lambda: attack(images, target)


def torchattack(scene: Scene) -> Work:
    """Return torchattack's PGD."""
    import torchattack as package  # noqa: PLC0415

    network, images, target, steps = scene
    attack = package.PGD(network, device=images.device, eps=EPS, steps=steps, alpha=ALPHA)
    return lambda: attack(images, target)


def foolbox(scene: Scene) -> Work:
    """Return foolbox's PGD; ``run`` leaves out its final check."""
    import foolbox as package  # noqa: PLC0415

    network, images, target, steps = scene
    model = package.PyTorchModel(network, bounds=(0, 1), device=images.device)
    attack = package.attacks.LinfPGD(abs_stepsize=ALPHA, steps=steps)
    return lambda: attack.run(model, images, target, epsilon=EPS)


def toolbox(scene: Scene) -> Work:
    """Return the PGD of IBM's Adversarial Robustness Toolbox, which takes arrays."""
    from art.attacks.evasion import ProjectedGradientDescentPyTorch  # noqa: PLC0415
    from art.estimators.classification import PyTorchClassifier  # noqa: PLC0415

    network, images, target, steps = scene
    shape, device = images.shape[1:], "gpu" if images.is_cuda else "cpu"
    model = PyTorchClassifier(
        network,
        nn.CrossEntropyLoss(),
        shape,
        network.num_classes,
        clip_values=(0, 1),
        device_type=device,
    )
    attack = ProjectedGradientDescentPyTorch(
        model, eps=EPS, eps_step=ALPHA, max_iter=steps, batch_size=len(images), verbose=False
    )
    arrays = images.cpu().numpy(), target.cpu().numpy()
    return lambda: attack.generate(*arrays)


def adversarial_library(scene: Scene) -> Work:
    """Return adv-lib's PGD."""
    from adv_lib.attacks import pgd_linf  # noqa: PLC0415

    network, images, target, steps = scene
    return lambda: pgd_linf(network, images, target, EPS, steps=steps, absolute_step_size=ALPHA)


def cospgd(cosine: bool) -> Callable[[Scene], Work]:
    """Return what makes CosPGD, or SegPGD, of the functions of the package ``cospgd``."""

    def made(scene: Scene) -> Work:
        from cospgd import functions  # noqa: PLC0415

        network, images, target, steps = scene

        def work() -> None:
            found = functions.init_linf(images, EPS)
            for step in range(steps):
                found.requires_grad = True
                logits = network(found)
                losses = F.cross_entropy(logits, target, ignore_index=255, reduction="none")
                if cosine:
                    losses = functions.cospgd_scale(logits, target, losses, CLASSES)
                else:
                    losses = functions.segpgd_scale(logits, target, losses, step, steps)
                losses.mean().backward()
                found = functions.step_inf(found, EPS, found.grad, images, ALPHA, False)

        return work

    return made


PACKAGES: dict[str, Callable[[Scene], Work]] = {
    "torchattacks": torchattacks,
    "adversarial-library": adversarial_library,
    "foolbox": foolbox,
    "ART": toolbox,
    "torchattack": torchattack,
}
SEGMENTATION: dict[str, Callable[[Scene], Work]] = {
    "cospgd's SegPGD": cospgd(cosine=False),
    "cospgd's CosPGD": cospgd(cosine=True),
}


def works(
    own: dict[str, Work], packages: dict[str, Callable[[Scene], Work]], scene: Scene
) -> dict[str, Work]:
    """Return what runs each contestant; a package that is not there is named."""
    found = dict(own)
    for name, made in packages.items():
        scene[0].requires_grad_(True)  # as a user hands it over
        try:
            work = made(scene)
            work()
        except ImportError as error:
            print(f"{name} is left out: {error}")
            continue
        found[name] = _unfrozen(work, scene[0])
    return found


def _unfrozen(work: Work, network: nn.Module) -> Work:
    def run() -> None:
        network.requires_grad_(True)
        work()
        for parameter in network.parameters():
            parameter.grad = None
        network.requires_grad_(False)

    return run


def measured(title: str, contestants: dict[str, Work], scene: Scene, rounds: int) -> float:
    """Print a table of ratios to bare; return seconds of a bare step."""
    device, steps = scene[1].device, scene[3]
    pairs = interleaved(contestants, bare(scene), rounds, device)
    step = median(before for found in pairs.values() for before, _ in found) / steps
    print(f"\n{title}: a bare step takes {1000 * step:.1f} ms")
    for name, found in pairs.items():
        print(f"{name:34}  {spread([own / before for before, own in found])} × bare")
    return step


def machinery(contestants: dict[str, Work], scene: Scene, rounds: int, real: float) -> None:
    """Print what loops cost beyond a network that costs nothing, per step."""
    pairs = interleaved(contestants, bare(scene), rounds, scene[1].device)
    print("\nThe loop alone, in % of a step on the real network")
    for name, found in pairs.items():
        print(f"{name:34}{spread(beyond(found, scene[3], real))} %")


def classification(options: argparse.Namespace, device: torch.device) -> None:
    """Measure PGD on ResNet-18 and on nothing."""
    images = torch.rand(options.images, 3, options.size, options.size).to(device)
    target = torch.arange(options.images, device=device)
    scene = (TimmVictim("resnet18").to(device).eval(), images, target, options.steps)
    pgd = PGD(EPS, ALPHA, options.steps)
    own = {
        "bare": bare(scene),  # against itself: how far a ratio of 1 is off on this machine
        "Mirage on the victim itself": ours(pgd, scene),
        "Mirage, as in experiments": ours(pgd, scene, Acceleration()),
        "Mirage, bfloat16": ours(pgd, scene, BFLOAT16),
    }
    real = measured("PGD, ResNet-18", works(own, PACKAGES, scene), scene, options.rounds)
    many = 10
    nothing = ClassificationVictim(Nothing(10), 10).to(device).eval()
    null = (nothing, images, target % 10, many)
    own = {"by hand": minimal(null), "Mirage": ours(PGD(EPS, ALPHA, many), null)}
    machinery(works(own, PACKAGES, null), null, 3 * options.rounds, real)


def segmentation(options: argparse.Namespace, device: torch.device) -> None:
    """Measure attacks on a Unet on ResNet-18."""
    images = torch.rand(max(1, options.images // 4), 3, 256, 256).to(device)
    target = torch.randint(0, CLASSES, images[:, 0].shape, device=device)
    network = SmpVictim("Unet", "resnet18", CLASSES).to(device).eval()
    scene = (network, images, target, options.steps)
    own = {}
    for attack in (
        PGD(EPS, ALPHA, options.steps),
        SegPGD(steps=options.steps),
        CosPGD(steps=options.steps),
        TranSegPGD(steps=options.steps),
    ):
        own[f"Mirage, {attack.name}"] = ours(attack, scene)
        own[f"Mirage, {attack.name}, experiments"] = ours(attack, scene, Acceleration())
    measured("Unet, ResNet-18, 256²", works(own, SEGMENTATION, scene), scene, options.rounds)


def main() -> None:
    """Measure everything and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    device = torch.device(options.device)
    classification(options, device)
    segmentation(options, device)


if __name__ == "__main__":
    main()

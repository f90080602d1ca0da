"""The parts that measure, each a generator of lines.

One that is stopped has told what it knew by then. What a part needs is imported inside of it, so
that a package that is missing fails no other part.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import torch
from timing import Work, interleaved, seconds
from torch import Tensor

from gpu.run import Line, Run, at_least, at_most

EPS, ALPHA = 8 / 255, 2 / 255


def machine(run: Run) -> Iterator[Line]:
    """Tell what all figures depend on."""
    from os import cpu_count  # noqa: PLC0415
    from platform import python_version  # noqa: PLC0415

    for what, figure in run.device.told().items():
        yield Line(what, figure)
    yield Line("CPU cores", str(cpu_count()))
    yield Line("torch, Python", f"{torch.__version__}, {python_version()}")
    yield Line("batch", f"{run.images} × {run.scale.size}², {run.scale.network}")


def waits(run: Run) -> Iterator[Line]:
    """Count where the host waits for the device in the loops of attacks, step by step."""
    from nothing import Nothing  # noqa: PLC0415
    from victim_options import made  # noqa: PLC0415

    from project import attacks as of  # noqa: PLC0415
    from project.victims import ClassificationVictim  # noqa: PLC0415
    from project.victims.acceleration import Acceleration, accelerated  # noqa: PLC0415

    images, target = run.batch(min(8, run.images))
    smaller = images[:, :, ::2, ::2].contiguous()
    maps = target[:, None, None].expand_as(smaller[:, 0]).contiguous()
    rules, transforms = [of.TranslationInvariant(), of.Momentum()], [of.Diversity()]
    classifiers: dict[str, Any] = {
        "PGD": of.PGD(),
        "MI-FGSM": of.MIFGSM(),
        "PGD with DI, TI and MI": of.PGD(rules=rules, transforms=transforms),
    }
    segmenters: dict[str, Any] = {
        "SegPGD": of.SegPGD(),
        "CosPGD": of.CosPGD(),
        "TranSegPGD": of.TranSegPGD(),
    }
    for network, attacks, scene in (
        (run.scale.network, classifiers, (images, target)),
        (run.scale.segmenter, segmenters, (smaller, maps)),
    ):
        whole = made(network).to(run.device.place)
        victim = accelerated(whole, Acceleration(), scene[0][:2]).victim
        for name, attack in attacks.items():
            yield _waits_per_step(run, name, attack, (victim, *scene))
    # With a network that starts few kernels, as the host also waits where too many are queued.
    null = ClassificationVictim(Nothing(10), 10).to(run.device.place).eval().requires_grad_(False)
    index = torch.arange(len(images))
    for name, attack in classifiers.items():
        work = partial(replace(attack, steps=3).perturb, null, images, target, index)
        ahead = run.device.is_ahead(work)
        told = f"{name}: the host is through before the device begins"
        yield Line(told, "yes" if ahead else "no", "yes", ahead)


def _waits_per_step(run: Run, name: str, attack: Any, scene: tuple[Any, Tensor, Tensor]) -> Line:
    found: list[list[str]] = []
    for steps in (2, 6):
        work = partial(replace(attack, steps=steps), *scene)
        work()  # libraries set themselves up
        found.append(run.device.waits(work))
    more = len(found[1]) - len(found[0])
    places = Counter(map(_short, found[1])).most_common(3)
    told = "".join(f"; {place} {count} ×" for place, count in places)
    figure = f"{more} ({len(found[0])} of a batch{told})"
    return Line(f"{name}: waits of 4 further steps", figure, "0", more == 0)


def _short(place: str) -> str:
    path, _, line = place.rpartition(":")
    return "/".join(Path(path).parts[-3:]) + f":{line}"


def _against_by_hand(run: Run, how: Any, told: str) -> Iterator[Line]:
    """Compare PGD with the loop that is written by hand, both on one fast copy."""
    from peers import minimal  # noqa: PLC0415
    from victim_options import made  # noqa: PLC0415

    from project.attacks import PGD  # noqa: PLC0415
    from project.victims.acceleration import accelerated  # noqa: PLC0415

    images, target = run.batch()
    pgd = PGD(EPS, ALPHA, run.scale.steps)
    unmoved = replace(pgd, random_start=False)
    start = perf_counter()
    victim: Any = accelerated(made(run.scale.network).to(images.device), how, images).victim
    by_hand = minimal((victim, images, target, pgd.steps))
    by_hand()
    run.device.synchronize()
    yield Line(f"{told}: set up in", f"{perf_counter() - start:.0f} s")
    works: dict[str, Work] = {
        "PGD": partial(pgd, victim, images, target),
        "PGD without random start": partial(unmoved, victim, images, target),
    }
    pairs = interleaved(works, by_hand, run.scale.rounds, run.device.place)
    took = median(before for found in pairs.values() for before, _ in found)
    rate = f"{len(images) / took:.0f} images a second"
    yield Line(f"{told}: PGD-{pgd.steps} by hand", rate)
    for name, found in pairs.items():
        share = median(before / own for before, own in found)
        rate = f", {len(images) / median(own for _, own in found):.0f} images a second"
        yield at_least(f"{told}: {name}", share, 0.95, " of by hand", rate)


def speed(run: Run) -> Iterator[Line]:
    """Compare PGD with the loop written by hand, both uncompiled."""
    from project.victims.acceleration import Acceleration  # noqa: PLC0415

    yield from _against_by_hand(run, Acceleration(), "folded, channels last")
    yield from _against_by_hand(run, Acceleration(precision="bfloat16"), "the same in bfloat16")


def compiled(run: Run) -> Iterator[Line]:
    """Compare PGD with the loop written by hand, both on a compiled network."""
    from project.victims.acceleration import Acceleration  # noqa: PLC0415

    yield from _against_by_hand(run, Acceleration(compile="default"), "compiled")


def precision(run: Run) -> Iterator[Line]:
    """Measure what the options of a fast copy are worth, without a compiler."""
    from victim_options import OPTIONS, kept_bytes, made, slope  # noqa: PLC0415

    from project.victims.acceleration import accelerated  # noqa: PLC0415

    targets = {"fold, channels_last": 1.0, "bfloat16, fold, channels_last": 0.7}
    images, _ = run.batch()
    victim = made(run.scale.network).to(images.device)
    chosen = {key: how for key, how in OPTIONS.items() if "checkpoint" not in key}
    copies = {key: accelerated(victim, how, images[:2]).victim for key, how in chosen.items()}
    works: dict[str, Work] = {key: partial(slope, copy, images) for key, copy in copies.items()}
    signs = slope(victim, images).sign()
    pairs = interleaved(works, works["bare"], run.scale.rounds, run.device.place)
    for key, found in pairs.items():
        ratio = median(own / before for before, own in found)
        same = float((slope(copies[key], images).sign() == signs).double().mean())
        kept = kept_bytes(copies[key], images) / len(images) / 2**20
        rate = len(images) / median(own for _, own in found)
        more = f" ({rate:.0f} images a second; signs {same:.4f}; {kept:.1f} MiB kept an image)"
        if key in targets:
            yield at_most(f"a step, {key}", ratio, targets[key], " × bare", more)
        else:
            yield Line(f"a step, {key}", f"{ratio:.3g} × bare{more}")


def graph(run: Run) -> Iterator[Line]:
    """Compare a CUDA graph with the same uncompiled, where starting kernels takes long."""
    from victim_options import made  # noqa: PLC0415

    from project.attacks import PGD  # noqa: PLC0415
    from project.victims.acceleration import Acceleration, accelerated  # noqa: PLC0415

    few = "resnet18" if run.scale.network != "test_resnet" else "test_resnet"
    whole = made(few).to(run.device.place)
    pgd = PGD(EPS, ALPHA, run.scale.steps)
    for count in (1, 8)[: run.scale.rounds]:
        images, _ = run.batch(count)
        target = whole(images).argmax(1)
        plain, fast = (
            accelerated(whole, Acceleration(precision="bfloat16", compile=mode), images).victim
            for mode in ("off", "reduce-overhead")
        )
        works: dict[str, Work] = {
            "plain": partial(pgd, plain, images, target),
            "graph": partial(pgd, fast, images, target),
        }
        works["graph"]()  # the first runs record the graph
        pairs = interleaved(works, works["plain"], max(3, run.scale.rounds), run.device.place)
        ratio = median(own / before for before, own in pairs["graph"])
        told = f"CUDA graph: PGD-{pgd.steps}, {few}, batches of {count}"
        yield at_most(told, ratio, {1: 0.7, 8: 1.0}[count], " × uncompiled")
        same = float((pgd(fast, images, target) == pgd(plain, images, target)).double().mean())
        yield at_least(f"{told}: share of values as uncompiled", same, 0.9)


def transfers(run: Run) -> Iterator[Line]:
    """Time copies to the device, and the optimiser of flow attacks."""
    from project.attacks.flow.solvers.solver import Adam  # noqa: PLC0415
    from project.data import ShapesData  # noqa: PLC0415

    place, usual = run.device.place, torch.rand(run.scale.numbers)
    pinned = run.device.pinned(usual)
    for name, source in (("usual", usual), ("pinned", pinned)):
        work = partial(source.to, place, non_blocking=True)
        work()
        took = median(seconds(work, place) for _ in range(max(3, run.scale.rounds)))
        yield Line(f"to the device from {name} memory", f"{usual.nbytes / took / 1e9:.1f} GB/s")
    data = ShapesData("classification", size=32, num_test=4, batch_size=4, verify=False)
    data.passes = ["clean"]
    data.setup("test")
    (loader,) = data.test_dataloader()
    held = next(iter(loader))["image"].is_pinned()
    yield Line("batches come in pinned memory", "yes" if held else "no", "yes", held)
    start = torch.zeros(run.images, 2, run.scale.size, run.scale.size, device=place)
    ours = Adam(start, 0.1)
    fused = bool(ours._optimizer.defaults["fused"])
    yield Line("Adam of flow attacks is fused", "yes" if fused else "no", "yes", fused)
    point = start.clone().requires_grad_()
    plain = torch.optim.Adam([point], lr=0.1, fused=False)
    point.grad = gradient = torch.rand_like(start)
    works: dict[str, Work] = {"fused": lambda: ours.tell(gradient.sum((1, 2, 3)), gradient)}
    pairs = interleaved(works, plain.step, max(3, run.scale.rounds), place)
    ratio = median(own / before for before, own in pairs["fused"])
    yield at_most("a step of it", ratio, 1.05, " × as torch chooses")


def largest(run: Run) -> Iterator[Line]:
    """Find the largest batch of PGD, and attack as many."""
    from victim_options import made  # noqa: PLC0415

    from project.largest_batch.__main__ import largest_fitting  # noqa: PLC0415
    from project.largest_batch.memory import peaks  # noqa: PLC0415
    from project.victims.acceleration import Acceleration, accelerated  # noqa: PLC0415

    options = {"float32": Acceleration(), "bfloat16": Acceleration(precision="bfloat16")}
    for name, how in options.items():
        run.device.release()
        probe, _ = run.batch(1)
        victim = accelerated(made(run.scale.network).to(probe.device), how, probe).victim
        peak = peaks(partial(_attacked, run, victim), run.device.place)
        limit = 0.9 * run.device.memory()
        count = largest_fitting(partial(_fits, peak, limit), run.scale.most)
        if not count:
            yield Line(f"largest batch, {name}", "0", "at least 1", False)
            continue
        took = seconds(partial(_attacked, run, victim, count), run.device.place)
        told = f"{count} of {run.scale.size}²" + ", all tried" * (count == run.scale.most)
        more = f"{peak(count) / count / 2**20:.0f} MiB an image; two steps in {took:.1f} s"
        yield Line(f"largest batch, {name}", f"{told} ({more})", "at least 1", True)


def _attacked(run: Run, victim: Any, count: int) -> None:
    from project.attacks import PGD  # noqa: PLC0415

    PGD(EPS, ALPHA, 2)(victim, *run.batch(count))


def _fits(peak: Callable[[int], float], limit: float, count: int) -> bool:
    return peak(count) <= limit

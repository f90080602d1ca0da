"""Timing contestants against a reference, each right after it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from statistics import median

import torch

Work = Callable[[], object]


def now(device: torch.device) -> float:
    """Return the process's CPU time in seconds, or wall time with the GPU synchronised."""
    if device.type == "cpu":
        return time.process_time()
    torch.cuda.synchronize(device)
    return time.perf_counter()


def seconds(work: Work, device: torch.device) -> float:
    """Return how long something takes."""
    start = now(device)
    work()
    return now(device) - start


def interleaved(
    works: Mapping[str, Work], reference: Work, rounds: int, device: torch.device
) -> dict[str, list[tuple[float, float]]]:
    """Return (reference, contestant) in seconds, a pair per round, after one run unmeasured."""
    for work in works.values():
        work()
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(rounds):
        for name, work in works.items():
            pairs[name].append((seconds(reference, device), seconds(work, device)))
    return pairs


def beyond(pairs: Sequence[tuple[float, float]], steps: int, real: float) -> list[float]:
    """Return what a contestant costs beyond its reference per step, in % of a real step.

    Args:
        pairs: (reference, contestant) in seconds.
        steps: how many both take.
        real: seconds of a step on a real network.
    """
    return [100 * (own - before) / steps / real for before, own in pairs]


def spread(values: Sequence[float], digits: int = 3) -> str:
    """Return the least, the median and the greatest of all rounds as text."""
    return " – ".join(f"{value:.{digits}f}" for value in (min(values), median(values), max(values)))

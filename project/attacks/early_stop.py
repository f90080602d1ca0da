"""Images that leave a climb at their first success."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from project.attacks.climb import Climb, Climbed
from project.attacks.core.query import fooled_share, query
from project.attacks.landscape import Slope

Verdict = Callable[[Climb, Slope], Tensor]
"""Which images that take part fool the victim as 8-bit images, (n,) bool."""


def until_fooled(climb: Climb, verdict: Verdict) -> Climbed:
    """Make steps, with fewer and fewer images.

    Each image is judged where it stands before a step; if it fools the victim, it stays there. An
    image's result is that of a climb of its own.
    """
    count, total = climb.lengths.shape
    images = torch.empty_like(climb.walk.perturbed())
    perturbation = torch.empty_like(climb.walk.perturbation)
    steps, traces = torch.full_like(climb.rows, total), _Traces(count, total)
    for number in range(1, total + 1):
        slope = climb.look(number)
        fooled = verdict(climb, slope)
        traces.tell(climb.rows, number, slope.traces)
        if bool(fooled.any()):
            left, there = climb.rows[fooled], climb.walk.kept(fooled)
            images[left], perturbation[left] = there.perturbed(), there.perturbation
            steps[left] = number - 1
            climb.keep(~fooled)
            if not len(climb.rows):
                break
            slope = slope.kept(~fooled)
        climb.move(slope, number)
    images[climb.rows], perturbation[climb.rows] = climb.walk.perturbed(), climb.walk.perturbation
    return Climbed(images, perturbation, steps, traces.up_to(steps))


def by_the_step(climb: Climb, slope: Slope) -> Tensor:
    """Judge by the step's own answer, and ask again only about the 8-bit images it speaks for.

    The objective must tell ``fooled`` of the images themselves.
    """
    fooled = slope.traces.pop("fooled") == 1
    if bool(fooled.any()):
        fooled[fooled.clone()] = _fool(climb, fooled)
    return fooled


def by_asking(climb: Climb, slope: Slope) -> Tensor:
    """Ask about the 8-bit images, where a step shows the victim something else than the images."""
    return _fool(climb, torch.ones_like(climb.rows, dtype=torch.bool))


def _fool(climb: Climb, rows: Tensor) -> Tensor:
    """Return which of the images at ``rows``, (n,) bool, fool the victim as 8-bit images."""
    landscape = climb.landscape
    images, target = landscape.images[rows], landscape.target[rows]
    threat_model, found = landscape.threat_model.kept(rows), climb.walk.kept(rows).perturbed()
    with torch.no_grad():
        rounded = threat_model.round(images, found)
        logits = query(landscape.victim, rounded, target)
    return fooled_share(logits, target, landscape.targeted) == 1


class _Traces:
    """Traces of which not every step tells of every image: (N, T) each, else NaN."""

    def __init__(self, count: int, total: int) -> None:
        self._shape = (count, total)
        self._values: dict[str, Tensor] = {}

    def tell(self, rows: Tensor, number: int, traces: dict[str, Tensor]) -> None:
        for name, told in traces.items():
            if name not in self._values:
                self._values[name] = torch.full(self._shape, torch.nan, device=told.device)
            self._values[name][rows, number - 1] = told.float()

    def up_to(self, steps: Tensor) -> dict[str, Tensor]:
        """Return what was told of steps that were made; (N,) ``steps`` by each image."""
        after = torch.arange(self._shape[1], device=steps.device) >= steps[:, None]
        return {name: told.masked_fill(after, torch.nan) for name, told in self._values.items()}

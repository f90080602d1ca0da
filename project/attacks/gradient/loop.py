"""The loop of gradient attacks: projected steps, all of them or until an image fools the victim."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from project.attacks.core.query import fooled_share, query
from project.attacks.gradient.landscape import Landscape, ValueAndGradient
from project.attacks.gradient.rules import RuleChain
from project.core.per_image import PerImage, rows_of


class LoopResult(NamedTuple):
    """The result of a loop.

    Attributes:
        images: (N, 3, H, W) in [0, 1], perturbed.
        perturbation: (N, C, H, W), allowed.
        steps: (N,) int64, the number of updates that led to each image.
        traces: (N, T) each, by name; NaN where there was no update or no value.
    """

    images: Tensor
    perturbation: Tensor
    steps: Tensor
    traces: dict[str, Tensor]


class GradientLoop(PerImage):
    r"""Steps $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$, one at a time.

    Args:
        landscape: the objective of the batch.
        rules: applied to each gradient.
        start: (N, C, H, W), perturbations to start from; overwritten.
        lengths: (N, T), the step sizes α_t of each image, on the images' device.

    Attributes:
        rows: (n,) int64, the indices in the full batch of the images that still take part.
        iterate: their current perturbations.
    """

    def __init__(
        self, landscape: Landscape, rules: RuleChain, start: Tensor, lengths: Tensor
    ) -> None:
        self.landscape = landscape
        self.rules = rules
        self.lengths = lengths
        self.rows = torch.arange(len(start), device=start.device)
        self.iterate = landscape.threat_model.iterate_from(landscape.images, start)

    def look(self, number: int) -> ValueAndGradient:
        """Return value, gradient and traces (with ``step_size``) for step ``number``, from 1 on."""
        if self.rules.look_ahead:
            ahead = self.rules.ahead(self.landscape, self.iterate.perturbation, number)
            found = self.landscape.value_and_gradient(ahead, number)
        else:
            found = self.landscape.value_and_gradient_of(
                *self.iterate.perturb_and_pullback(), number
            )
        return found._replace(traces=found.traces | {"step_size": self.lengths[:, number - 1]})

    def move(self, found: ValueAndGradient, number: int) -> None:
        """Make the step; the gradient is overwritten."""
        threat_model = self.landscape.threat_model
        if self.rules.rules:  # rules may remember the tensor that they return, as momentum does
            gradient = self.rules(self.landscape, found.gradient, self.iterate.perturbation, number)
            direction = threat_model.ascent(gradient)
            if self.rules.stretches:
                perturbation = self.iterate.perturbation
                direction = self.rules.stretched(self.landscape, direction, perturbation, number)
        else:
            direction = threat_model.ascent_(found.gradient)
        self.iterate.step(direction, self.lengths[:, number - 1].view(-1, 1, 1, 1))

    def advance(self, number: int) -> dict[str, Tensor]:
        """Make one step, and return its traces; frees the gradient before the next is computed."""
        found = self.look(number)
        self.move(found, number)
        return found.traces


def to_the_end(loop: GradientLoop) -> LoopResult:
    """Make all steps with all images.

    Nothing here reads a value from the device, so the host can queue the steps ahead of it.
    """
    total = loop.lengths.shape[1]
    traces = [loop.advance(number) for number in range(1, total + 1)]
    iterate, steps = loop.iterate, torch.full_like(loop.rows, total)
    return LoopResult(iterate.perturbed(), iterate.perturbation, steps, _stacked(traces))


def _stacked(traces: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for trace in traces for name in trace)
    nothing = torch.full_like(traces[0]["step_size"], torch.nan)
    return {name: torch.stack([t.get(name, nothing).float() for t in traces], 1) for name in names}


Verdict = Callable[[GradientLoop, ValueAndGradient], Tensor]
"""Tells which of the remaining images fool the victim as 8-bit images, (n,) bool."""


def until_fooled(loop: GradientLoop, verdict: Verdict) -> LoopResult:
    """Make steps until every image fools the victim or the steps are spent.

    Each image is judged before a step; if it fools the victim, it is stored and removed from the
    batch. An image's result is that of a loop of its own.
    """
    count, total = loop.lengths.shape
    images = torch.empty_like(loop.iterate.perturbed())
    perturbation = torch.empty_like(loop.iterate.perturbation)
    steps, traces = torch.full_like(loop.rows, total), _Traces(count, total)
    for number in range(1, total + 1):
        found = loop.look(number)
        fooled = verdict(loop, found)
        traces.tell(loop.rows, number, found.traces)
        if bool(fooled.any()):
            # Stored now, since the next step overwrites the iterate in place.
            left, there = loop.rows[fooled], loop.iterate.at(fooled)
            images[left], perturbation[left] = there.perturbed(), there.perturbation
            steps[left] = number - 1
            loop.shrink_to(~fooled)
            if not len(loop.rows):
                break
            found = rows_of(found, ~fooled)
        loop.move(found, number)
    images[loop.rows], perturbation[loop.rows] = loop.iterate.perturbed(), loop.iterate.perturbation
    return LoopResult(images, perturbation, steps, traces.up_to(steps))


def by_the_step(loop: GradientLoop, found: ValueAndGradient) -> Tensor:
    """Judge by the step's own logits, and query again only the 8-bit images that fool in float.

    The objective's traces must hold ``fooled``, computed on the images themselves.
    """
    fooled = found.traces.pop("fooled") == 1
    if bool(fooled.any()):
        fooled[fooled.clone()] = _fool(loop, fooled)
    return fooled


def by_asking(loop: GradientLoop, found: ValueAndGradient) -> Tensor:
    """Query all 8-bit images, for loops whose steps show the victim other views than the images."""
    return _fool(loop, torch.ones_like(loop.rows, dtype=torch.bool))


def _fool(loop: GradientLoop, rows: Tensor) -> Tensor:
    """Return which of the images at ``rows``, (n,) bool, fool the victim as 8-bit images."""
    landscape = loop.landscape
    images, target = landscape.images[rows], landscape.target[rows]
    threat_model, found = landscape.threat_model.at(rows), loop.iterate.at(rows).perturbed()
    with torch.no_grad():
        rounded = threat_model.round(images, found)
        logits = query(landscape.victim, rounded, target)
    return fooled_share(logits, target, landscape.targeted) == 1


class _Traces:
    """Traces of loops with fewer and fewer images: (N, T) each, NaN where nothing was recorded."""

    def __init__(self, count: int, total: int) -> None:
        self._shape = (count, total)
        self._values: dict[str, Tensor] = {}

    def tell(self, rows: Tensor, number: int, traces: dict[str, Tensor]) -> None:
        for name, told in traces.items():
            if name not in self._values:
                nothing = told.new_full(self._shape, torch.nan, dtype=torch.float32)
                self._values[name] = nothing
            self._values[name][rows, number - 1] = told.float()

    def up_to(self, steps: Tensor) -> dict[str, Tensor]:
        """Return the traces of the steps that were made; ``steps`` (N,) is each image's number."""
        after = torch.arange(self._shape[1], device=steps.device) >= steps[:, None]
        return {name: told.masked_fill(after, torch.nan) for name, told in self._values.items()}

"""Projected steps of steepest ascent, by the images of a batch that take part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from project.attacks.landscape import Landscape, Slope
from project.attacks.rules import RuleBook


class Climbed(NamedTuple):
    """Where a climb has led.

    Attributes:
        images: (N, 3, H, W) in [0, 1], perturbed.
        perturbation: (N, C, H, W), allowed.
        steps: (N,) int64, how many updates made each.
        traces: (N, T) each, by name; NaN where there was no update or nothing to tell.
    """

    images: Tensor
    perturbation: Tensor
    steps: Tensor
    traces: dict[str, Tensor]


class Climb:
    r"""Steps $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$, one at a time.

    Args:
        landscape: what to climb.
        rules: applied to each gradient.
        start: (N, C, H, W), perturbations to start from; overwritten.
        lengths: (N, T), α_t of each image, on its device.

    Attributes:
        rows: (n,) int64, the places in the full batch of those that still take part.
        walk: where they are.
    """

    def __init__(
        self, landscape: Landscape, rules: RuleBook, start: Tensor, lengths: Tensor
    ) -> None:
        self.landscape = landscape
        self.rules = rules
        self.lengths = lengths
        self.rows = torch.arange(len(start), device=start.device)
        self.walk = landscape.threat_model.walk(landscape.images, start)

    def look(self, number: int) -> Slope:
        """Return the slope that step ``number`` goes by, from 1 on, with the step's length."""
        if self.rules.look_ahead:
            ahead = self.rules.ahead(self.walk.perturbation, number)
            slope = self.landscape.slope(ahead, number)
        else:
            slope = self.landscape.slope_of(*self.walk.meet(), number)
        return slope._replace(traces=slope.traces | {"step_size": self.lengths[:, number - 1]})

    def move(self, slope: Slope, number: int) -> None:
        """Make the step; the slope is used up."""
        threat_model = self.landscape.threat_model
        if self.rules.rules:  # which may remember what they return
            gradient = self.rules(slope.gradient, self.walk.perturbation, number)
            direction = threat_model.ascent(gradient)
        else:
            direction = threat_model.ascent_(slope.gradient)
        self.walk.step(direction, self.lengths[:, number - 1].view(-1, 1, 1, 1))

    def advance(self, number: int) -> dict[str, Tensor]:
        """Look and move; returns the traces, and frees the gradient before the next one is made."""
        slope = self.look(number)
        self.move(slope, number)
        return slope.traces

    def keep(self, staying: Tensor) -> None:
        """Let all other images leave.

        Args:
            staying: (n,) bool.
        """
        self.rows, self.walk = self.rows[staying], self.walk.kept(staying)
        self.lengths = self.lengths[staying]
        self.landscape.keep(staying)
        self.rules.keep(staying)


def to_the_end(climb: Climb) -> Climbed:
    """Make all steps with all images; the host never waits for the device."""
    total = climb.lengths.shape[1]
    traces = [climb.advance(number) for number in range(1, total + 1)]
    walk, steps = climb.walk, torch.full_like(climb.rows, total)
    return Climbed(walk.perturbed(), walk.perturbation, steps, _stacked(traces))


def _stacked(traces: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for trace in traces for name in trace)
    nothing = torch.full_like(traces[0]["step_size"], torch.nan)
    return {name: torch.stack([t.get(name, nothing).float() for t in traces], 1) for name in names}

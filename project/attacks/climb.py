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
        perturbation: (N, C, H, W), allowed.
        steps: (N,) int64, how many updates made each.
        traces: (N, T) each, by name; NaN where there was no update or nothing to tell.
    """

    perturbation: Tensor
    steps: Tensor
    traces: dict[str, Tensor]


class Climb:
    r"""Steps $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$, one at a time.

    Args:
        landscape: what to climb.
        rules: applied to each gradient.
        start: (N, C, H, W), allowed perturbations.
        lengths: (N, T), α_t of each image, on its device.

    Attributes:
        rows: (n,) int64, the places in the full batch of those that still take part.
        perturbation: (n, C, H, W), where they are.
    """

    def __init__(
        self, landscape: Landscape, rules: RuleBook, start: Tensor, lengths: Tensor
    ) -> None:
        self.landscape = landscape
        self.rules = rules
        self.lengths = lengths
        self.rows = torch.arange(len(start), device=start.device)
        self.perturbation = start

    def look(self, number: int) -> Slope:
        """Return the slope that step ``number`` goes by, from 1 on, with the step's length."""
        slope = self.landscape.slope(self.rules.ahead(self.perturbation, number), number)
        return slope._replace(traces=slope.traces | {"step_size": self.lengths[:, number - 1]})

    def move(self, slope: Slope, number: int) -> None:
        """Make the step."""
        threat, images = self.landscape.threat_model, self.landscape.images
        gradient = self.rules(slope.gradient, self.perturbation, number)
        update = threat.ascent(gradient).mul_(self.lengths[:, number - 1].view(-1, 1, 1, 1))
        self.perturbation = threat.project_(images, update.add_(self.perturbation))

    def keep(self, staying: Tensor) -> None:
        """Let all other images leave.

        Args:
            staying: (n,) bool.
        """
        self.rows, self.perturbation = self.rows[staying], self.perturbation[staying]
        self.lengths = self.lengths[staying]
        self.landscape.keep(staying)
        self.rules.keep(staying)


def to_the_end(climb: Climb) -> Climbed:
    """Make all steps with all images; the host never waits for the device."""
    total = climb.lengths.shape[1]
    traces = []
    for number in range(1, total + 1):
        slope = climb.look(number)
        traces.append(slope.traces)
        climb.move(slope, number)
    return Climbed(climb.perturbation, torch.full_like(climb.rows, total), _stacked(traces))


def _stacked(traces: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    names = dict.fromkeys(name for trace in traces for name in trace)
    nothing = torch.full_like(traces[0]["step_size"], torch.nan)
    return {name: torch.stack([t.get(name, nothing).float() for t in traces], 1) for name in names}

"""Step-size schedules: how the step size changes over a run."""

from __future__ import annotations

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from project.core.choices import choose
from project.core.randomness import Draws

StepSchedule = Literal["constant", "uniform", "cosine", "linear", "rising", "cyclic"]

_PERIOD = 5


def check_schedule(schedule: StepSchedule) -> StepSchedule:
    """Return the name of a known schedule; raise ``ValueError`` for any other."""
    return choose("step_schedule", get_args(StepSchedule), schedule)


def step_factor(schedule: StepSchedule, number: int, total: int, draws: Draws) -> Tensor:
    r"""Return the factor of the step size at step t of T; its mean over a run is 1, up to 1/T.

    ``constant`` 1; ``uniform`` U(0.5, 1.5), drawn for each sample; ``cosine`` falling,
    $$1 + \cos(\pi (t-1)/T)$$; ``linear`` falling, $$2 (T - t + 1) / (T + 1)$$; ``rising``
    $$1 - \cos(\pi t/T)$$; ``cyclic`` $$1 + \frac{1}{2} \sin(2\pi (t-1)/5)$$.

    Source: Jia et al., arXiv 2312.02207, say that a dynamic step size raises the diversity of the
    examples; no formula is public [ours].

    Args:
        schedule: its name.
        number: t = 1 … T.
        total: T.
        draws: random draws of the samples, for this attack.

    Returns:
        (N,) float64 on the CPU.
    """
    if schedule == "uniform":
        return draws.keyed("step size", number).uniform().double() + 0.5
    return torch.full((len(draws.index),), _factor(schedule, number, total), dtype=torch.float64)


def step_factors(schedule: StepSchedule, total: int, draws: Draws) -> Tensor:
    """Return the factors of all steps, (N, T) float64 on the CPU; see :func:`step_factor`."""
    steps = range(1, total + 1)
    return torch.stack([step_factor(schedule, number, total, draws) for number in steps], 1)


def _factor(schedule: StepSchedule, number: int, total: int) -> float:
    """Return the factor that all images share."""
    if schedule == "cosine":
        return 1 + math.cos(math.pi * (number - 1) / total)
    if schedule == "linear":
        return 2 * (total - number + 1) / (total + 1)
    if schedule == "rising":
        return 1 - math.cos(math.pi * number / total)
    if schedule == "cyclic":
        return 1 + math.sin(2 * math.pi * (number - 1) / _PERIOD) / 2
    return 1.0

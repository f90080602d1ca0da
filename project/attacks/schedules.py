"""How the step size changes over a run."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal, get_args

from torch import Tensor

from project.errors import InputError

StepSchedule = Literal["constant", "uniform", "cosine", "rising", "cyclic"]

_PERIOD = 5


def check_schedule(schedule: StepSchedule) -> StepSchedule:
    """Return a known schedule's name; raise ValueError for any other."""
    if schedule not in get_args(StepSchedule):
        names = ", ".join(get_args(StepSchedule))
        raise InputError(f"step_schedule must be one of {names}, got {schedule!r}.")
    return schedule


def step_factor(
    schedule: StepSchedule, number: int, total: int, draw: Callable[[], Tensor]
) -> float | Tensor:
    r"""Return the factor of the step size at step t of T; its mean over a run is 1, up to 1/T.

    ``constant`` 1; ``uniform`` U(0.5, 1.5), drawn for each sample; ``cosine`` falling,
    $$1 + \cos(\pi (t-1)/T)$$; ``rising`` $$1 - \cos(\pi t/T)$$; ``cyclic``
    $$1 + \frac{1}{2} \sin(2\pi (t-1)/5)$$.

    Source: Jia et al., arXiv 2312.02207, say that a dynamic step size raises the diversity of the
    examples; no formula is public [ours].

    Args:
        schedule: its name.
        number: t = 1 … T.
        total: T.
        draw: returns U(0, 1) for each image, (N,); asked by ``uniform`` only.

    Returns:
        A number, or (N,).
    """
    if schedule == "uniform":
        return draw() + 0.5
    if schedule == "cosine":
        return 1 + math.cos(math.pi * (number - 1) / total)
    if schedule == "rising":
        return 1 - math.cos(math.pi * number / total)
    if schedule == "cyclic":
        return 1 + math.sin(2 * math.pi * (number - 1) / _PERIOD) / 2
    return 1.0

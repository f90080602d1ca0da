"""Auto-PGD's step sizes: halved image by image where the ascent makes no progress."""

from __future__ import annotations

import torch
from torch import Tensor


def checkpoints(steps: int) -> list[int]:
    r"""Return after which steps the step size is looked at: in ever shorter periods.

    The first period is 22 % of all steps, each next one 3 % shorter, the shortest 6 %; each is at
    least one step. Of 100 steps: 22, 41, 57, 70, 80, 87, 93, 99.

    Source: Croce & Hein, ICML 2020; percentages rounded down [code].

    Args:
        steps: T.
    """
    period, shorter, shortest = (max(steps * percent // 100, 1) for percent in (22, 3, 6))
    found, reached = [], period
    while reached <= steps:
        found.append(reached)
        period = max(period - shorter, shortest)
        reached += period
    return found


class StepSizes:
    r"""Each image's own step size.

    At a checkpoint it is halved if the value rose in at most a share ρ of the steps since the last
    one; or if it was not halved there and the best value is still the same.

    Source: Croce & Hein, ICML 2020; "at most", and no second condition at the first checkpoint
    [code]. That code compares the first step's value with an entry not yet written, 0; here it is
    compared with the start's value [ours].

    Args:
        size: η of the first step.
        values: (N,), the objective at the start.
        steps: T.
        rho: ρ, in [0, 1].

    Attributes:
        sizes: (N,), η of the next step.
    """

    def __init__(self, size: float, values: Tensor, steps: int, rho: float) -> None:
        self.sizes = torch.full_like(values, size)
        self._rho = rho
        self._checkpoints = frozenset(checkpoints(steps))
        self._last = 0
        self._values = values
        self._best = values
        self._rises = torch.zeros_like(values)
        self._halved = torch.ones_like(values, dtype=torch.bool)

    def update(self, number: int, values: Tensor, best: Tensor) -> Tensor:
        """Learn the outcome of a step, and return which images are to go back to their best.

        Args:
            number: of the step, 1 … T.
            values: (N,), the objective after it.
            best: (N,), its greatest value so far.

        Returns:
            (N,) bool: those whose step size was halved.
        """
        self._rises = self._rises + (values > self._values)
        self._values = values
        if number not in self._checkpoints:
            return torch.zeros_like(self._halved)
        oscillates = self._rises <= self._rho * (number - self._last)
        stuck = ~self._halved & (best <= self._best)
        self._halved = oscillates | stuck
        self.sizes = torch.where(self._halved, self.sizes / 2, self.sizes)
        self._rises = torch.zeros_like(self._rises)
        self._best, self._last = best, number
        return self._halved

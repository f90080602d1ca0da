"""An objective that also tells how much is fooled."""

from __future__ import annotations

from torch import Tensor

from project.attacks.objectives.objective import Objective
from project.attacks.step import Step
from project.core.losses import mean_over_valid


class Judged(Objective):
    """Another objective, with one more trace: ``fooled``, the share of valid elements at the aim.

    So an attack can compare iterates by what counts in the end, without asking the victim again.

    Source: [ours].

    Args:
        objective: what gives the value.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.layer = objective.layer
        self.stationary = objective.stationary

    def __call__(self, step: Step) -> Tensor:
        """Return the objective's value, (N,)."""
        step.traces["fooled"] = mean_over_valid((~step.resisting).float(), step.valid)
        return self.objective(step)

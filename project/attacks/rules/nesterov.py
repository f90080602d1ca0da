"""Momentum that looks ahead."""

from __future__ import annotations

from torch import Tensor

from project.attacks.rules.momentum import Momentum
from project.attacks.rules.rule import Here
from project.attacks.step import Memory


class Nesterov(Momentum):
    r"""Momentum whose gradient is taken where the past leads: at $$x + \alpha \mu g_t$$.

    Source: Lin et al., "Nesterov Accelerated Gradient and Scale Invariance for Adversarial
    Attacks", ICLR 2020, eq. (6) [paper]. As in the authors' code g has a mean absolute value of 1
    at first [code]; for the maximum norm that is the length of a step, for others the look-ahead
    is shortened by what the values of one of their steps are on average [ours].

    Args:
        decay: μ, the weight of the past; 0 neither looks ahead nor remembers.
    """

    def ahead(self, perturbation: Tensor, memory: Memory, here: Here) -> Tensor:
        """Return the look-ahead point."""
        if "sum" not in memory:
            return perturbation
        length = here.step_size * here.threat_model.step_value(here.images)
        return perturbation + length * self.decay * memory["sum"]

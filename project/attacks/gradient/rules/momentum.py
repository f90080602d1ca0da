"""Gradient rules Momentum and Nesterov momentum."""

from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext, normalised


@dataclass(frozen=True)
class Momentum(GradientRule):
    r"""Ascend along a decaying sum of normalised gradients, which transfers better.

    $$g_{t+1} = \mu g_t + \nabla / \mathrm{mean}|\nabla|$$, the mean taken image by image.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, eq. (6) [paper];
    the mean for the paper's L1 norm is a constant factor, taken so that values stay near 1.
    """

    decay: float = 1.0
    """Decay μ, the weight of past gradients; 0 is no momentum."""

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the new sum of gradients."""
        # Normalised, so that steps weigh alike however the gradient's size changes between them.
        past, now = memory.get("sum"), normalised(gradient)
        memory["sum"] = now if past is None else self.decay * past + now
        return memory["sum"]


@dataclass(frozen=True)
class Nesterov(Momentum):
    r"""Momentum whose gradient is taken ahead of the iterate: at $$x + \alpha \mu g_t$$.

    Source: Lin et al., "Nesterov Accelerated Gradient and Scale Invariance for Adversarial
    Attacks", ICLR 2020, eq. (6) [paper]. As in the authors' code g has a mean absolute value of 1
    at first [code]; for the maximum norm that is the length of a step, for others the look-ahead
    is shortened by what the values of one of their steps are on average [ours].

    Args:
        decay: μ, the weight of past gradients; 0 neither looks ahead nor remembers.
    """

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the look-ahead perturbation."""
        if "sum" not in memory:
            return perturbation
        return perturbation + context.step_value * self.decay * memory["sum"]

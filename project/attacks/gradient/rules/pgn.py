"""Gradient rule PGN: ascend towards flat maxima by penalising the gradient's norm."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext, normalised
from project.core.errors import InputError


@dataclass(frozen=True)
class PGN(GradientRule):
    r"""Ascend the mean objective of neighbours, less the norm of its gradient there.

    $$\bar g = \frac{1}{N} \sum_{i=1}^{N} (1 - \delta)\, \nabla L(x'_i) + \delta\, \nabla L(x^*_i),
    \quad x'_i = x + r_i,\quad x^*_i = x'_i - \alpha \frac{\nabla L(x'_i)}{\mathrm{mean}|\nabla
    L(x'_i)|}$$, r_i drawn from the threat model's budget, enlarged ζ times; the second gradient, a
    step lower, stands for the curvature. It comes first, and momentum after it. A step costs 2 N
    forward and backward passes, since the loop's own look is at the first neighbour; so the traced
    objective is that neighbour's, and not that of the current iterate.

    Source: Ge et al., "Boosting Adversarial Transferability by Achieving Flat Local Maxima",
    NeurIPS 2023 [code], which divides by the mean where the paper has the L1 norm. Places are
    clipped to the range of an image, as no victim sees others [ours]. For other norms than the
    maximum α is what the values of one of their steps are on average [ours].
    """

    samples: int = 20
    """Number N of neighbours, 20 as in the paper."""
    radius: float = 3.0
    """Size ζ of the neighbourhood as a multiple of the budget, 3 as in the paper."""
    balance: float = 0.5
    """Weight δ of the gradient a step lower, in [0, 1]; 0.5 as in the paper. 0 is the mean gradient
    of the neighbours, at the same cost."""

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.radius >= 0 or not 0 <= self.balance <= 1:
            raise InputError(
                "samples must be at least 1, radius at least 0 and balance in [0, 1], got "
                f"{self.samples}, {self.radius}, {self.balance}."
            )

    @property
    def extra_gradients(self) -> int:
        """Number of further gradients of a step: two a neighbour, but one is the step's own."""
        return 2 * self.samples - 1

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the first neighbour."""
        memory["centre"] = perturbation
        return self._neighbour(0, memory, context)

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the mean gradient, given that at the first neighbour."""
        total = torch.zeros_like(gradient)
        for number in range(self.samples):
            neighbour = self._neighbour(number, memory, context)
            if number > 0:
                gradient = context.gradient_at(neighbour, 2 * number)
            lower = neighbour - context.step_value * normalised(gradient)
            below = context.gradient_at(lower, 2 * number + 1)
            total += (1 - self.balance) * gradient + self.balance * below
        return total / self.samples

    def _neighbour(self, number: int, memory: Memory, context: StepContext) -> Tensor:
        noise = self.radius * context.noise(number)
        return context.within_range(memory["centre"] + noise)

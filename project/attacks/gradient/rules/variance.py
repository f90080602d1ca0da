"""Gradient rule variance tuning (VMI-FGSM, VNI-FGSM)."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.core.errors import InputError


@dataclass(frozen=True)
class Variance(GradientRule):
    r"""Correct the gradient by how it differed from its surroundings one step before.

    $$g + v_t,\quad v_{t+1} = \frac{1}{N} \sum_{i=1}^{N} \nabla L(x_t + r_i) - \nabla L(x_t)$$,
    r_i drawn from the threat model's budget, enlarged β times. Followed by momentum it is VMI-FGSM,
    by Nesterov's VNI-FGSM; it comes before both, and before any smoothing. Every step but the last
    costs N + 1 forward and backward passes.

    Source: Wang & He, "Enhancing the Transferability of Adversarial Attacks through Variance
    Tuning", CVPR 2021, eq. (4) and algorithm 1 [paper]; around x_t also under Nesterov [port].
    Neighbours are clipped to the range of an image [ours].
    """

    samples: int = 20
    """Number N of neighbours, 20 as in the paper."""
    radius: float = 1.5
    """Size β of the neighbourhood as a multiple of the budget, 1.5 as in the paper."""

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.radius >= 0:
            raise InputError(
                "samples must be at least 1 and radius at least 0, got "
                f"{self.samples}, {self.radius}."
            )

    @property
    def extra_gradients(self) -> int:
        """Number of further gradients of a step: those of all neighbours."""
        return self.samples

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient, corrected by the last step's variance."""
        past = memory.get("variance")
        if context.number < context.total:  # the last step's would not be used
            memory["variance"] = self._variance(gradient, context)
        return gradient if past is None else gradient + past

    def _variance(self, gradient: Tensor, context: StepContext) -> Tensor:
        """Return by how much the neighbours' mean gradient differs."""
        # Differences are added up, so that equal gradients differ by 0 exactly.
        total = torch.zeros_like(gradient)
        for number in range(self.samples):
            neighbour = context.perturbation + self.radius * context.noise(number)
            total += context.gradient_at(neighbour, number) - gradient
        return total / self.samples

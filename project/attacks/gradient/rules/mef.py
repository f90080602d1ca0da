"""Gradient rule MEF: ascend the mean over neighbourhoods of displaced places."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext, normalised
from project.core.errors import InputError


@dataclass(frozen=True)
class MEF(GradientRule):
    r"""Ascend the mean objective of neighbours, each displaced by its own last gradients.

    $$\bar g_t = \frac{1}{N} \sum_{i=1}^{N} \nabla L(x_t + r_i + \xi P_{t,i}),\quad P_{t+1,i} =
    \frac{\nabla_i}{\mathrm{mean}|\nabla_i|} - \mu P_{t,i}$$, r_i drawn from the threat model's
    budget, enlarged γ times, and $$\nabla_i$$ the i-th summand's gradient; $$P_1 = 0$$. So the
    extreme place around each neighbour is guessed from the step before, without a pass of its own.
    It comes first, and after it momentum, of decay 0.5 in the paper. A step costs N forward and
    backward passes, since the loop's own look is at the first neighbour; so the traced objective is
    that neighbour's. N gradients are kept from step to step.

    Source: Qiu et al., "Boosting Adversarial Transferability with Low-Cost Optimization via Maximin
    Expected Flatness", arXiv 2405.16181. Its authors' code is not public, so formula and signs are
    those of TransferAttack [port]. There ξ is 0.15 ε at steps of ε/10; in units of a step it serves
    every norm [ours]. Places are clipped to the range of an image [ours].
    """

    samples: int = 20
    """Number N of neighbours, 20 as in the port."""
    radius: float = 2.0
    """Size γ of the neighbourhood as a multiple of the budget, 2 as in the port."""
    reach: float = 1.5
    """Length ξ of the displacement in steps α; 1.5 of ε/10 are the port's 0.15 ε. Less than 0
    displaces the other way, 0 not at all."""
    decay: float = 0.9
    """Inner decay μ of the displacement, 0.9 as in the port."""

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.radius >= 0:
            raise InputError(
                "samples must be at least 1 and radius at least 0, got "
                f"{self.samples}, {self.radius}."
            )

    @property
    def extra_gradients(self) -> int:
        """Number of further gradients of a step: those of all neighbours but one."""
        return self.samples - 1

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the first displaced neighbour."""
        memory["centre"] = perturbation
        return self._place(0, memory, context)

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the mean gradient, given that at the first displaced neighbour."""
        total = torch.zeros_like(gradient)
        for number in range(self.samples):
            if number > 0:
                gradient = context.gradient_at(self._place(number, memory, context), number)
            total += gradient
            past, now = memory.get(_name(number)), normalised(gradient)
            memory[_name(number)] = now if past is None else now - self.decay * past
        return total / self.samples

    def _place(self, number: int, memory: Memory, context: StepContext) -> Tensor:
        place = memory["centre"] + self.radius * context.noise(number)
        if _name(number) in memory:
            place = place + self.reach * context.step_value * memory[_name(number)]
        return context.within_range(place)


def _name(number: int) -> str:
    return f"displacement {number}"

"""Variance tuning."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.gradient.objectives.step import Memory
from project.attacks.gradient.rules.rule import GradientRule, Here
from project.core.errors import InputError


class Variance(GradientRule):
    r"""Correct the gradient by how it differed from its surroundings one step before.

    $$g + v_t,\quad v_{t+1} = \frac{1}{N} \sum_{i=1}^{N} \nabla L(x_t + r_i) - \nabla L(x_t)$$,
    r_i drawn from the threat model's budget, enlarged β times. Followed by momentum it is VMI-FGSM,
    by Nesterov's VNI-FGSM; it comes before both, and before any smoothing. Every step but the last
    costs N + 1 forward and backward passes.

    Source: Wang & He, "Enhancing the Transferability of Adversarial Attacks through Variance
    Tuning", CVPR 2021, eq. (4) and algorithm 1 [paper]; around x_t also under Nesterov [port].
    Neighbours are clipped to the range of an image [ours].

    Args:
        samples: N, 20 as in the paper.
        radius: β, in budgets, 1.5 as in the paper.
    """

    def __init__(self, samples: int = 20, radius: float = 1.5) -> None:
        if samples < 1 or not radius >= 0:
            raise InputError(
                f"samples must be at least 1 and radius at least 0, got {samples}, {radius}."
            )
        self.samples = samples
        self.radius = radius

    def __call__(self, gradient: Tensor, memory: Memory, here: Here) -> Tensor:
        """Return the gradient, tuned by the last step's variance."""
        past = memory.get("variance")
        if here.number < here.total:  # nobody would use the last step's
            memory["variance"] = self._variance(gradient, here)
        return gradient if past is None else gradient + past

    def _variance(self, gradient: Tensor, here: Here) -> Tensor:
        """Return by how much the neighbours' mean gradient differs."""
        # Differences are added up, so that equal gradients differ by 0 exactly.
        total = torch.zeros_like(gradient)
        for number in range(self.samples):
            draws = here.draws.keyed("neighbour", number)
            noise = here.threat_model.noise(here.images, draws.index, *draws.key)
            neighbour = here.perturbation + self.radius * noise
            total += here.gradient_at(neighbour, number) - gradient
        return total / self.samples

"""Gradient rule GRA: weigh gradient and neighbours by how they agree."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.core.errors import InputError
from project.core.per_image import per_image


@dataclass(frozen=True)
class GRA(GradientRule):
    r"""Trust the gradient as far as its neighbours agree, and shorten steps that turn round.

    $$s\, g + (1 - s)\, \bar g,\quad \bar g = \frac{1}{N} \sum_{i=1}^{N} \nabla L(x + r_i),\quad
    s = \cos(g, \bar g)$$, r_i drawn from the threat model's budget, enlarged β times. Each value of
    a step is M times as long, where M is multiplied by η whenever that value's direction is not the
    last step's; it starts at 1/η, so that the first step is whole. It comes before momentum. A step
    costs N + 1 forward and backward passes.

    Source: Zhu et al., "Boosting Adversarial Transferability via Gradient Relevance Attack",
    ICCV 2023 [code], where the direction before the first step counts as another one. Neighbours
    are clipped to the range of an image, as no victim sees others [ours]; where a gradient is 0, s
    is 0 [ours].
    """

    samples: int = 20
    """Number N of neighbours, 20 as in the paper."""
    radius: float = 3.5
    """Size β of the neighbourhood as a multiple of the budget, 3.5 as in the paper."""
    damping: float = 0.94
    """Factor η of a value's step length when its direction changes, in (0, 1]; 0.94 as in the
    paper, 1 keeps all lengths."""

    def __post_init__(self) -> None:
        if self.samples < 1 or not self.radius >= 0 or not 0 < self.damping <= 1:
            raise InputError(
                "samples must be at least 1, radius at least 0 and damping in (0, 1], got "
                f"{self.samples}, {self.radius}, {self.damping}."
            )

    @property
    def extra_gradients(self) -> int:
        """Number of further gradients of a step: those of all neighbours."""
        return self.samples

    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient and its neighbours' mean, weighed by their cosine."""
        total = torch.zeros_like(gradient)
        for number in range(self.samples):
            neighbour = context.perturbation + self.radius * context.noise(number)
            total += context.gradient_at(neighbour, number)
        mean = total / self.samples
        agreement = per_image(_cosine(gradient, mean), gradient)
        return agreement * gradient + (1 - agreement) * mean

    def stretched(self, direction: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the direction, its values shortened once for each time that they turned."""
        signs = direction.sign()
        if "signs" not in memory:
            memory["signs"] = torch.zeros_like(signs)
            memory["factor"] = torch.full_like(signs, 1 / self.damping)
        factor = memory["factor"]
        memory["factor"] = torch.where(signs == memory["signs"], factor, self.damping * factor)
        memory["signs"] = signs
        return direction * memory["factor"]


def _cosine(one: Tensor, other: Tensor) -> Tensor:
    """Return the cosine of each image's angle, (N,); 0 where a vector is 0."""
    first, second = _unit(one), _unit(other)
    return (first * second).sum(1)


def _unit(values: Tensor) -> Tensor:
    # Divided by the largest value first, since squares of tiny gradients underflow to 0.
    flat = values.flatten(1)
    largest = flat.abs().amax(1, keepdim=True).clamp(min=torch.finfo(values.dtype).tiny)
    scaled = flat / largest
    norm: Tensor = torch.linalg.vector_norm(scaled, dim=1, keepdim=True)
    return scaled / norm.clamp(min=1)

"""The interface of gradient rules, which change a gradient before the step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.gradient.objectives.objective import Memory
from project.core.fields import CheckedFields
from project.core.randomness import Draws
from project.threat_models import ThreatModel


@dataclass(frozen=True)
class StepContext:
    """The state of an attack at one step, as its gradient rules see it.

    Attributes:
        number: t = 1 … total.
        total: T.
        images: (N, 3, H, W), the clean images.
        perturbation: (N, C, H, W), the current iterate, which the next step may overwrite.
        step_size: α, without the schedule's factor, in the threat model's units.
        threat_model: the kind of perturbation.
        draws: random draws of the samples, for this rule and step.
        gradient_at: returns the gradient at any perturbation; its second argument numbers the calls
            of one step, whose random views differ.
        victim: the network that is attacked, or an ensemble of several.
    """

    number: int
    total: int
    images: Tensor
    perturbation: Tensor
    step_size: float
    threat_model: ThreatModel
    draws: Draws
    gradient_at: Callable[[Tensor, int], Tensor]
    victim: nn.Module

    def noise(self, number: int) -> Tensor:
        """Draw from the budget, (N, C, H, W): other noise for each number of one step."""
        draws = self.draws.keyed("neighbour", number)
        return self.threat_model.noise(self.images, draws.index, *draws.key)

    def within_range(self, perturbation: Tensor) -> Tensor:
        """Clip so that perturbed images lie in [0, 1]."""
        return self.threat_model.within_range(self.images, perturbation)

    @property
    def step_value(self) -> float:
        """How much a step changes a value on average, in the perturbation's units."""
        return self.step_size * self.threat_model.step_value(self.images)


class GradientRule(CheckedFields, ABC):
    """Base class of rules that change a gradient, applied in the order of the attack's list."""

    @abstractmethod
    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the changed gradient.

        Args:
            gradient: (N, C, H, W) with respect to the perturbation.
            memory: tensors that this rule keeps from step to step of one run; empty at first.
            context: the state of the attack.
        """

    @property
    def extra_gradients(self) -> int:
        """Number of further gradients that a step asks for, at most."""
        return 0

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the perturbation at which to take the gradient; by default the current one.

        Gradients pass through the rules in the order of the list, places in the opposite one: a
        rule looks from where the rules after it want to look.
        """
        return perturbation

    def stretched(self, direction: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the step's direction with each value at a length of its own; by default as it is.

        Args:
            direction: (N, C, H, W), of unit size, made of the gradient after all rules.
            memory: as for a gradient.
            context: the state of the attack.
        """
        return direction

    def around(self, victim: nn.Module) -> AbstractContextManager[None]:
        """Return a context inside which the attack runs; by default it does nothing.

        A rule may hook the victim's layers there. On leaving, also by an exception, the victim must
        be as it was.

        Raises:
            InputError: if the victim lacks what the rule needs.
        """
        return nullcontext()


def normalised(gradient: Tensor) -> Tensor:
    """Divide each image's gradient by the mean of its absolute values; 0 stays 0."""
    # The clamp is as small as can be: confident victims have tiny gradients, which must count.
    tiny = torch.finfo(gradient.dtype).tiny
    return gradient / gradient.abs().mean((1, 2, 3), keepdim=True).clamp(min=tiny)

"""The interface of gradient rules, which change a gradient before the step."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

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
    """

    number: int
    total: int
    images: Tensor
    perturbation: Tensor
    step_size: float
    threat_model: ThreatModel
    draws: Draws
    gradient_at: Callable[[Tensor, int], Tensor]


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
        """Return the perturbation at which to take the gradient; by default the current one."""
        return perturbation

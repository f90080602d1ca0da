"""What a gradient attack does to a gradient before it steps."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Memory
from project.core.randomness import Draws
from project.threat_models import ThreatModel


@dataclass(frozen=True)
class StepContext:
    """Where an attack stands when it asks its rules, and how they may look around.

    Attributes:
        number: t = 1 … total.
        total: T.
        images: (N, 3, H, W), the clean images.
        perturbation: (N, C, H, W), the current iterate, which the next step may overwrite.
        step_size: α of this step before any schedule, in the threat model's units.
        threat_model: what the perturbation is.
        draws: of the samples, for this rule and step.
        gradient_at: returns the gradient at any perturbation; its second argument tells apart
            the looks of one step, whose random views differ.
    """

    number: int
    total: int
    images: Tensor
    perturbation: Tensor
    step_size: float
    threat_model: ThreatModel
    draws: Draws
    gradient_at: Callable[[Tensor, int], Tensor]


class GradientRule(ABC):
    """A rule from gradients to gradients; rules are applied in the order of the attack's list."""

    @abstractmethod
    def __call__(self, gradient: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return the gradient to go on with.

        Args:
            gradient: (N, C, H, W) with respect to the perturbation.
            memory: what this rule keeps from step to step of one run; empty at the first.
            context: where the attack stands.
        """

    def ahead(self, perturbation: Tensor, memory: Memory, context: StepContext) -> Tensor:
        """Return where the gradient is to be taken; by default where the attack stands."""
        return perturbation

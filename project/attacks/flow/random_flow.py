"""Random flows, the control of every attack that moves pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.query import query
from project.attacks.core.result import Perturbed, measured
from project.images.eight_bit import to_8bit
from project.threat_models import Flow


@dataclass(frozen=True)
class RandomFlow(Attack):
    """Move every pixel by the whole budget in random directions, whatever the victim.

    A network that falls to this says nothing about an attack of the same budget: it falls to any
    jitter. So tables of flows have it beside them.

    Source: [ours].
    """

    budget_fields = ("max_shift",)
    steps = 0

    max_shift: float = 0.5
    """Budget ξ, the displacement along each axis in pixels."""
    smooth: float = 0.0
    """σ in pixels of the Gaussian by which the directions are smoothed; the largest displacement is
    then the budget."""
    seed: int = 0
    """Seed from which the flows derive."""

    def __post_init__(self) -> None:
        _ = self.carrier

    @property
    def carrier(self) -> Flow:
        """The threat model."""
        return Flow(self.max_shift, self.smooth)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Draw the flows, and warp."""
        with torch.no_grad():
            query(victim, images[:1], target[:1])  # only to refuse a target of another kind
        space = self.carrier
        drawn = space.noise(images, index, self.seed, self.name)
        flow = space.ascent_(drawn) * self.max_shift
        moved = space.apply(images, flow)
        found = Perturbed(
            images=to_8bit(moved),
            float_images=moved,
            perturbation=flow,
            steps=torch.zeros_like(index),
            threat_model=space,
        )
        return measured(found)

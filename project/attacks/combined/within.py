"""A budget of visibility: as much of an attack's perturbation as a perceptual metric allows."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal, Self

import torch
from torch import Tensor, nn

from project.attacks.combined.combination import Combination, traits_around
from project.attacks.core.attack import Attack, Traits
from project.attacks.core.result import Perturbed, measured
from project.core.errors import InputError
from project.core.per_image import per_image
from project.core.samples import Samples
from project.metrics.panel import perceptual_panel
from project.metrics.perceptual_metric import PerceptualMetric
from project.threat_models import ThreatModel

Visibility = Literal[
    "ciede2000", "stlpips_alex", "stlpips_vgg", "lpips_alex", "lpips_squeeze", "lpips_vgg"
]


@dataclass(frozen=True)
class Within(Combination):
    r"""Any attack, then for each image the largest part of it that a visibility budget allows.

    The perturbation p becomes s · p with the largest s in [0, 1] that bisection finds for which the
    8-bit image keeps to the budget. So attacks of different kinds, such as flows and noise, can be
    compared, or shown to people, at equal visibility: give each a budget of its own kind that is
    larger, and the same one here.

    Rows hold s as ``kept`` and the metric's value as ``visibility``; where even the smallest part
    tried breaks the budget, the image stays clean.

    Source: [ours].
    """

    attack: Attack
    """Attack that finds the perturbation."""
    budget: float
    """Largest value of the metric, greater than 0."""
    metric: Visibility = "ciede2000"
    """Metric that the budget is in: mean ΔE00, ST-LPIPS (pip install stlpips-pytorch) or LPIPS
    (weights as for the metric of that name)."""
    halvings: int = 10
    """Number of bisections, each a comparison of all images; s is found up to 2⁻¹⁰."""

    def __post_init__(self) -> None:
        if not 0 < self.budget < float("inf") or self.halvings < 1:
            raise InputError(
                "budget must be finite and greater than 0, and halvings at least 1, got "
                f"{self.budget} and {self.halvings}."
            )

    def attach(self, samples: Samples) -> None:
        """Give the attack access to the samples, and check that the metric can be computed."""
        _ = _metric(self.metric)
        super().attach(samples)

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times the visibility."""
        return self._replaced(budget=factor * self.budget)

    def traits(self) -> Traits:
        """Describe the attack that is cut, with its method in brackets."""
        return traits_around(self, self.attack)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Attack, and bisect."""
        found = self.attack.perturb(victim, images, target, index)
        space = found.threat_model
        if space is None:
            raise InputError(
                f"{self.attack.name} does not say what its perturbation is one of, so no part of "
                "it can be taken. Its perturb must return a threat_model."
            )
        with torch.no_grad():
            kept = self._largest(space, images, found.perturbation)
            part = found.perturbation * per_image(kept, found.perturbation)
            floats = space.apply(images, part)
            rounded = space.round(images, floats)
            facts = {"kept": kept.double(), "visibility": _metric(self.metric)(images, rounded)}
        cut = replace(
            found,
            images=rounded,
            float_images=floats,
            perturbation=part,
            facts=found.facts | facts,
        )
        return measured(cut)

    def _largest(self, space: ThreatModel, images: Tensor, whole: Tensor) -> Tensor:
        """Return the largest factors found whose images keep to the budget, (N,)."""

        def allowed(factor: Tensor) -> Tensor:
            changed = space.round(images, space.apply(images, whole * per_image(factor, whole)))
            return _metric(self.metric)(images, changed) <= self.budget

        low, high = whole.new_zeros(len(whole)), whole.new_ones(len(whole))
        fits = allowed(high)
        for _ in range(self.halvings):
            middle = (low + high) / 2
            holds = allowed(middle)
            low, high = torch.where(holds, middle, low), torch.where(holds, high, middle)
        return torch.where(fits, torch.ones_like(low), low)


@lru_cache(maxsize=4)
def _metric(name: str) -> PerceptualMetric[Any]:
    metrics, notes = perceptual_panel([name])
    if not metrics:
        raise InputError(f"metric {name} cannot be computed: {'; '.join(notes)}")
    return metrics[0]

"""The loop of every iterative gradient attack, which takes its ideas as parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from project.attacks.attack import Attack, Perturbed, Traits
from project.attacks.flaws import flaw_facts
from project.attacks.landscape import Landscape
from project.attacks.objectives import Objective
from project.attacks.rules import GradientRule, RuleBook
from project.attacks.schedules import StepSchedule, check_schedule, step_factor
from project.attacks.transforms import InputTransform
from project.errors import InputError
from project.randomness import Draws
from project.samples import Samples
from project.threat_models import L2, Linf, ThreatModel


class GradientAttack(Attack):
    r"""Projected steps of steepest ascent: $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$.

    $$g_t$$ is the gradient of the objective after all rules, s the threat model's ascent, Π its
    projection. The last iterate is returned.

    Args:
        threat_model: what a perturbation is.
        objective: what to climb (to descend, where targeted).
        step_size: α, in the threat model's units, greater than 0.
        steps: T, at least 1.
        step_schedule: how α_t follows from α; see :func:`~project.attacks.schedules.step_factor`.
        rules: applied to each gradient in this order.
        transforms: what the victim is shown instead of the images, one applied after another; the
            gradient is the mean over all views.
        random_start: start anywhere in the threat model instead of at zero.
        targeted: whether the target is wanted.
        seed: the key of all draws.
    """

    kind = "gradient"

    def __init__(
        self,
        threat_model: ThreatModel,
        objective: Objective,
        step_size: float,
        steps: int,
        step_schedule: StepSchedule = "constant",
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        random_start: bool = True,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        if steps < 1 or not step_size > 0:
            raise InputError(
                f"steps must be at least 1 and step_size greater than 0, got {steps}, {step_size}."
            )
        self.threat_model = threat_model
        self.objective = objective
        self.step_size = step_size
        self.steps = steps
        self.step_schedule = check_schedule(step_schedule)
        self.rules = rules
        self.transforms = transforms
        self.random_start = random_start
        self.targeted = targeted
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps; see :class:`~project.attacks.attack.Attack`."""
        threat = self.threat_model
        draws = Draws(index, self.seed, self.name)
        landscape = self.landscape(victim, images, target, draws)
        rules = RuleBook(self.rules, landscape, self.step_size)
        perturbation = self._start(images, index)
        traces: list[dict[str, Tensor]] = []
        for number in range(1, self.steps + 1):
            slope = landscape.slope(rules.ahead(perturbation, number), number)
            gradient = rules(slope.gradient, perturbation, number)
            factor = step_factor(self.step_schedule, number, self.steps, draws)
            update = threat.ascent(gradient) * (self.step_size * _spread(factor, images))
            traces.append(slope.traces | {"step_size": self.step_size * factor.to(images.device)})
            perturbation = threat.project(images, perturbation + update)
        return self._result(images, perturbation, traces)

    def landscape(
        self, victim: nn.Module, images: Tensor, target: Tensor, draws: Draws
    ) -> Landscape:
        """Return what this attack climbs."""
        return Landscape(
            victim,
            images,
            target,
            threat_model=self.threat_model,
            objective=self.objective,
            transforms=self.transforms,
            targeted=self.targeted,
            total=self.steps,
            draws=draws,
        )

    def traits(self) -> Traits:
        """Tell what the attack is; norm and eps are the threat model's, which may be scaled."""
        return super().traits() | _ball(self.threat_model)

    def attach(self, samples: Samples) -> None:
        """Let the transforms look samples up."""
        for transform in self.transforms:
            transform.attach(samples)

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget, and steps as much shorter."""
        scaled = copy.copy(self)
        scaled.threat_model = self.threat_model.scaled(factor)
        scaled.step_size = factor * self.step_size
        return scaled

    def _start(self, images: Tensor, index: Tensor) -> Tensor:
        if not self.random_start:
            return self.threat_model.zeros(images)
        return self.threat_model.random(images, index, self.seed, self.name, "start")

    def _result(
        self, images: Tensor, perturbation: Tensor, traces: list[dict[str, Tensor]]
    ) -> Perturbed:
        float_images = self.threat_model.apply(images, perturbation)
        stacked = _stacked(traces)
        flaws = flaw_facts(stacked)
        return Perturbed(
            images=self.threat_model.round(images, float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=torch.full((len(images),), self.steps, device=images.device),
            facts=self.objective.facts(stacked) | flaws,
            traces=stacked,
            threat_model=self.threat_model,
        )


def _stacked(traces: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return all steps' traces as (N, T) each; NaN where a step had nothing to tell."""
    names = dict.fromkeys(name for trace in traces for name in trace)
    nothing = torch.full_like(traces[0]["step_size"], torch.nan)
    return {name: torch.stack([t.get(name, nothing).float() for t in traces], 1) for name in names}


def _ball(threat_model: ThreatModel) -> Traits:
    if isinstance(threat_model, Linf | L2):
        return {"norm": "linf" if isinstance(threat_model, Linf) else "l2", "eps": threat_model.eps}
    return {}


def _spread(factor: Tensor, images: Tensor) -> Tensor:
    return factor.to(images).view(-1, 1, 1, 1)

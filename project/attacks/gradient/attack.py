"""The loop of every iterative gradient attack, which takes its ideas as parts."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed, Traits
from project.attacks.gradient.landscape import Landscape, flaw_facts
from project.attacks.gradient.loop import (
    Climb,
    Climbed,
    by_asking,
    by_the_step,
    to_the_end,
    until_fooled,
)
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.objective import Judged
from project.attacks.gradient.rules import GradientRule, RuleBook
from project.attacks.gradient.schedules import StepSchedule, check_schedule, step_factors
from project.attacks.gradient.transforms import InputTransform
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import Samples
from project.threat_models import L2, Linf, ThreatModel
from project.victims.ensemble import asked


class GradientAttack(Attack):
    r"""Projected steps of steepest ascent: $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$.

    $$g_t$$ is the gradient of the objective after all rules, s the threat model's ascent, Π its
    projection. The last iterate is returned.

    With ``early_stop`` the first iterate is returned whose 8-bit image fools the victim (of a
    segmenter: at every valid pixel), and the image costs nothing from there on. Such an image is
    just across the boundary: it transfers worse than one that goes on. A step whose answer is of
    the image itself tells who may have fallen, and only of those the 8-bit image is asked about;
    with transforms, rules that look ahead, or an ensemble asked member by member, every step asks
    once more.

    Args:
        threat_model: what a perturbation is.
        objective: what to climb (to descend, where targeted).
        step_size: α, in the threat model's units, greater than 0.
        steps: T, at least 1.
        step_schedule: how α_t follows from α; see
            :func:`~project.attacks.gradient.schedules.step_factor`.
        rules: applied to each gradient in this order.
        transforms: what the victim is shown instead of the images, one applied after another; the
            gradient is the mean over all views.
        random_start: start anywhere in the threat model instead of at zero.
        targeted: whether the target is wanted.
        seed: the key of all draws.
        early_stop: let each image leave at its first success.
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
        early_stop: bool = False,
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
        self.early_stop = early_stop

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps; see :class:`~project.attacks.Attack`."""
        draws = Draws(index, self.seed, self.name)
        landscape = self.landscape(victim, images, target, draws)
        rules = RuleBook(self.rules, landscape, self.step_size)
        factors = step_factors(self.step_schedule, self.steps, draws)
        lengths = self.step_size * factors.to(images, non_blocking=True)
        climb = Climb(landscape, rules, self._start(images, index), lengths)
        return self._result(images, target, self._climbed(climb))

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
        return self.threat_model.noise(images, index, self.seed, self.name, "start")

    def _climbed(self, climb: Climb) -> Climbed:
        if not self.early_stop:
            return to_the_end(climb)
        landscape = climb.landscape
        members = asked(landscape.victim, landscape.draws)
        if self.transforms or climb.rules.look_ahead or list(members) != [landscape.victim]:
            return until_fooled(climb, by_asking)
        landscape.objective = Judged(self.objective)
        return until_fooled(climb, by_the_step)

    def _result(self, images: Tensor, target: Tensor, climbed: Climbed) -> Perturbed:
        flaws = flaw_facts(climbed.traces, target)
        return Perturbed(
            images=self.threat_model.round(images, climbed.images),
            float_images=climbed.images,
            perturbation=climbed.perturbation,
            steps=climbed.steps,
            facts=self.objective.facts(climbed.traces) | flaws,
            traces=climbed.traces,
            threat_model=self.threat_model,
        )


def _ball(threat_model: ThreatModel) -> Traits:
    if isinstance(threat_model, Linf | L2):
        return {"norm": "linf" if isinstance(threat_model, Linf) else "l2", "eps": threat_model.eps}
    return {}

"""Auto-PGD."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from project.attacks.auto_ascent import ascend
from project.attacks.core.attack import Attack, Perturbed
from project.attacks.gradient.landscape import Landscape, flaw_facts
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.objectives.objective import Judged
from project.attacks.gradient.rules import GradientRule, RuleBook
from project.attacks.gradient.transforms import InputTransform
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import Samples
from project.threat_models import Norm, norm_ball


class APGD(Attack):
    r"""Auto-PGD: PGD with momentum that chooses its step size by itself, image by image.

    The first step is 2ε long; at checkpoints an image's step is halved where the ascent makes no
    progress, and the image goes on from its best place; see
    :func:`~project.attacks.auto_ascent.ascend`. The victim is asked once more than there are steps.

    Returned is the iterate that fools most of the image's valid elements and, among equals, has the
    greatest objective.

    With several phases, each is a run of its own in a ball of its own, from where the last one's
    best place is projected to. Only the last ball bounds the result.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, algorithm 1 [code]; for pixels, keeping the least accurate
    iterate, and phases: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust
    Semantic Segmentation Models", ECCV 2024 [code]. The random start is drawn from the whole ball
    and not from its surface, and the objective decides among equals [ours].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        steps: T of all phases, 100 as in the code.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        objective: what to climb; None is the mean cross-entropy. It must be stationary: an image's
            value must not depend on the step. With random views or sources values are noisy.
        rho: ρ, the share of rising steps that saves a step size, 0.75 as in the code.
        phases: of each, the ball's radius in units of eps and its share of the steps; the last
            radius is 1, the shares sum to 1.
        random_start: start at a random place in the first ball.
        rules: applied to each gradient, in this order; none that looks ahead.
        transforms: what the victim is shown instead of the images, for example diverse views.
        targeted: whether the target is wanted.
        seed: the key of all draws.
    """

    kind = "gradient"

    def __init__(
        self,
        eps: float = 8 / 255,
        steps: int = 100,
        norm: Norm = "linf",
        objective: Objective | None = None,
        rho: float = 0.75,
        phases: Sequence[tuple[float, float]] = ((1.0, 1.0),),
        random_start: bool = True,
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        if steps < 1 or not 0 <= rho <= 1:
            raise InputError(f"steps must be at least 1 and rho in [0, 1], got {steps} and {rho}.")
        norm_ball(norm, eps)
        _check_phases(phases)
        self.eps = eps
        self.steps = steps
        self.norm = norm
        self.objective = CrossEntropy() if objective is None else _comparable(objective)
        self.rho = rho
        self.phases = phases
        self.random_start = random_start
        self.rules = _staying(rules)
        self.transforms = transforms
        self.targeted = targeted
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all phases."""
        draws = Draws(index, self.seed, self.name)
        perturbation = self._start(images, index)
        count = torch.zeros(len(images), dtype=torch.int64, device=images.device)
        traces: list[dict[str, Tensor]] = []
        for place, ((radius, _), steps) in enumerate(zip(self.phases, self._steps(), strict=True)):
            eps = radius * self.eps
            landscape = self._landscape(victim, images, target, eps, steps, draws.keyed(place))
            rules = RuleBook(self.rules, landscape, 2 * eps)
            start = landscape.threat_model.project(images, perturbation)
            best, told = ascend(landscape, rules, start, steps, self.rho)
            perturbation, count = best.perturbation, count + best.number
            traces += told
        return self._result(images, target, perturbation, count, traces)

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget."""
        scaled = copy.copy(self)
        scaled.eps = factor * self.eps
        return scaled

    def attach(self, samples: Samples) -> None:
        """Let the transforms look samples up."""
        for transform in self.transforms:
            transform.attach(samples)

    def _landscape(
        self,
        victim: nn.Module,
        images: Tensor,
        target: Tensor,
        eps: float,
        steps: int,
        draws: Draws,
    ) -> Landscape:
        """Return what a phase climbs."""
        return Landscape(
            victim,
            images,
            target,
            threat_model=norm_ball(self.norm, eps),
            objective=Judged(self.objective),
            transforms=self.transforms,
            targeted=self.targeted,
            total=steps + 1,
            draws=draws,
        )

    def _start(self, images: Tensor, index: Tensor) -> Tensor:
        if not self.random_start:
            return torch.zeros_like(images)
        first = norm_ball(self.norm, self.phases[0][0] * self.eps)
        return first.random(images, index, self.seed, self.name, "start")

    def _steps(self) -> list[int]:
        """Return each phase's steps; rounded down, the last takes the rest."""
        early = [int(share * self.steps + 1e-9) for _, share in self.phases[:-1]]
        return [*early, self.steps - sum(early)]

    def _result(
        self,
        images: Tensor,
        target: Tensor,
        perturbation: Tensor,
        count: Tensor,
        traces: list[dict[str, Tensor]],
    ) -> Perturbed:
        threat = norm_ball(self.norm, self.eps)
        float_images = threat.apply(images, perturbation)
        stacked = {name: torch.stack([told[name] for told in traces], 1) for name in traces[0]}
        return Perturbed(
            images=threat.round(images, float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=count,
            facts=flaw_facts(stacked, target),
            traces=stacked,
            threat_model=threat,
        )


def _comparable(objective: Objective) -> Objective:
    if not objective.stationary:
        raise InputError(
            "APGD compares the objective's values of different steps, but those of "
            f"{type(objective).__name__} change their meaning from step to step. Take a stationary "
            "one, such as CrossEntropy or MaskedCrossEntropy, or run this one with PGD."
        )
    return objective


def _staying(rules: Sequence[GradientRule]) -> Sequence[GradientRule]:
    ahead = [type(rule).__name__ for rule in rules if type(rule).ahead is not GradientRule.ahead]
    if ahead:
        raise InputError(
            "APGD judges the very places where it takes gradients, so its rules must not look "
            f"ahead, got {', '.join(ahead)}. Leave them out, or run them with PGD."
        )
    return rules


def _check_phases(phases: Sequence[tuple[float, float]]) -> None:
    positive = all(radius > 0 and share > 0 for radius, share in phases)
    whole = abs(sum(share for _, share in phases) - 1) < 1e-6
    if not (positive and whole and phases[-1][0] == 1):
        raise InputError(
            "phases must be (radius, share) pairs greater than 0, the last radius 1 and the shares "
            f"summing to 1, got {list(phases)}."
        )

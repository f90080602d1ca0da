"""The loop of every iterative gradient attack, which takes its ideas as parts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from project import randomness
from project.attacks.attack import Attack, Perturbed
from project.attacks.objectives import Objective
from project.attacks.rules import GradientRule
from project.attacks.schedules import StepSchedule, check_schedule, step_factor
from project.attacks.step import Memory, Step, clean_answer
from project.attacks.verdict import query
from project.errors import InputError
from project.threat_models import ThreatModel


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
        random_start: start anywhere in the threat model instead of at zero.
        targeted: whether the target is wanted.
        seed: the key of all draws.
    """

    def __init__(
        self,
        threat_model: ThreatModel,
        objective: Objective,
        step_size: float,
        steps: int,
        step_schedule: StepSchedule = "constant",
        rules: Sequence[GradientRule] = (),
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
        self.random_start = random_start
        self.targeted = targeted
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps; see :class:`~project.attacks.attack.Attack`."""
        threat = self.threat_model
        perturbation = self._start(images, index)
        clean_logits = clean_answer(victim, images, target)
        memory: Memory = {}
        rule_memories: list[Memory] = [{} for _ in self.rules]
        traces: list[dict[str, Tensor]] = []
        for number in range(1, self.steps + 1):
            perturbation.requires_grad_()
            logits = query(victim, threat.apply(images, perturbation), target)
            step = Step(number, self.steps, logits, target, self.targeted, clean_logits, memory)
            loss = self.objective(step).sum()
            (gradient,) = torch.autograd.grad(-loss if self.targeted else loss, perturbation)
            for rule, rule_memory in zip(self.rules, rule_memories, strict=True):
                gradient = rule(gradient, rule_memory)
            update = threat.ascent(gradient) * self._step_size(number, images, index)
            perturbation = threat.project(images, perturbation.detach() + update)
            traces.append(step.traces)
        return self._result(images, perturbation, traces)

    def _start(self, images: Tensor, index: Tensor) -> Tensor:
        if not self.random_start:
            return self.threat_model.zeros(images)
        return self.threat_model.random(images, index, self.seed, self.name, "start")

    def _step_size(self, number: int, images: Tensor, index: Tensor) -> float | Tensor:
        def draw() -> Tensor:
            key = (self.seed, self.name, "step size", number)
            return randomness.uniform((), index, *key).to(images).view(-1, 1, 1, 1)

        return self.step_size * step_factor(self.step_schedule, number, self.steps, draw)

    def _result(
        self, images: Tensor, perturbation: Tensor, traces: list[dict[str, Tensor]]
    ) -> Perturbed:
        float_images = self.threat_model.apply(images, perturbation)
        stacked = {name: torch.stack([trace[name] for trace in traces], 1) for name in traces[0]}
        return Perturbed(
            images=self.threat_model.round(images, float_images),
            float_images=float_images,
            perturbation=perturbation,
            steps=torch.full((len(images),), self.steps, device=images.device),
            facts=self.objective.facts(stacked),
            traces=stacked,
            threat_model=self.threat_model,
        )

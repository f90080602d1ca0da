"""Iterative gradient attacks composed of parts, and the base class of named recipes."""

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from project.attacks.core.attack import Attack, Kind, Traits
from project.attacks.core.result import Perturbed
from project.attacks.gradient.landscape import Landscape, nonfinite_facts
from project.attacks.gradient.loop import (
    GradientLoop,
    LoopResult,
    by_asking,
    by_the_step,
    to_the_end,
    until_fooled,
)
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.objective import WithFooledShare
from project.attacks.gradient.rules import GradientRule, RuleChain
from project.attacks.gradient.schedules import StepSchedule, check_schedule, step_factors
from project.attacks.gradient.transforms import InputTransform
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import Samples
from project.threat_models import L2, Linf, Norm, ThreatModel, norm_ball
from project.victims.ensemble import asked


@dataclass(frozen=True)
class GradientAttack(Attack):
    r"""Projected steps of steepest ascent: $$\delta \leftarrow \Pi(\delta + \alpha_t\, s(g_t))$$.

    $$g_t$$ is the gradient of the objective after all rules, s the threat model's ascent, Π its
    projection. The last iterate is returned.

    With ``early_stop`` the first iterate is returned whose 8-bit image fools the victim (for a
    segmenter: at every valid pixel), and the image costs no further passes. Such an image is just
    across the boundary: it transfers worse than one that goes on. Where the victim sees the image
    itself in a step, these logits show which images may have succeeded, and only their 8-bit images
    are queried; with transforms, rules that look ahead, or an ensemble asked member by member,
    every step needs one more query.
    """

    kind = "gradient"

    threat_model: ThreatModel
    """Threat model: the kind of perturbation and its budget."""
    objective: Objective
    """Objective to maximise (to minimise, where targeted)."""
    step_size: float
    """Step size α, in the threat model's units, greater than 0."""
    steps: int
    """Number of steps T, at least 1."""
    step_schedule: StepSchedule = "constant"
    """Schedule of the step size, from α to α_t; see
    :func:`~project.attacks.gradient.schedules.step_factor`."""
    rules: Sequence[GradientRule] = ()
    """Gradient rules, applied to each gradient in this order."""
    transforms: Sequence[InputTransform] = ()
    """Input transforms, applied one after another: the victim sees their views instead of the
    images, and the gradient is the mean over all views."""
    random_start: bool = True
    """Whether to start at a random perturbation in the threat model instead of at zero."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success."""

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise InputError(f"steps must be at least 1, got {self.steps}.")
        if not self.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {self.step_size}.")
        if isinstance(self.threat_model, Linf) and self.step_size > 1:
            raise InputError(
                f"step_size is a part of the range [0, 1], got {self.step_size:g}. For grey levels "
                f"give {self.step_size:g}/255."
            )
        check_schedule(self.step_schedule)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps; see :class:`~project.attacks.Attack`."""
        return self.climb(victim, images, target, Draws(index, self.seed, self.name))

    def climb(self, victim: nn.Module, images: Tensor, target: Tensor, draws: Draws) -> Perturbed:
        """Run all steps with the given draws, which are keyed by the name of the recipe."""
        landscape = self.landscape(victim, images, target, draws)
        rules = RuleChain(self.rules, self.step_size)
        factors = step_factors(self.step_schedule, self.steps, draws)
        lengths = self.step_size * factors.to(images, non_blocking=True)
        loop = GradientLoop(landscape, rules, self._start(images, draws), lengths)
        with rules.around(victim):
            found = self._run(loop)
        return self._result(images, target, found)

    def landscape(
        self, victim: nn.Module, images: Tensor, target: Tensor, draws: Draws
    ) -> Landscape:
        """Return the objective of a batch as a function of the perturbation."""
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
        """Describe the attack; norm and eps are the threat model's."""
        return super().traits() | _ball(self.threat_model) | self.passes()

    def passes(self) -> Traits:
        """Return how often a step asks its source, as ``passes_per_step``, where more than once.

        It is a bound: some rules ask less often at the first or the last step.
        """
        views = math.prod(transform.view_count for transform in self.transforms)
        count = views * (1 + sum(rule.extra_gradients for rule in self.rules))
        return {"passes_per_step": count} if count > 1 else {}

    def attach(self, samples: Samples) -> None:
        """Give the transforms access to the samples."""
        for transform in self.transforms:
            transform.attach(samples)

    def scaled(self, factor: float) -> Self:
        """Return the same attack with its budget and its step size multiplied by ``factor``."""
        shorter = factor * self.step_size
        return replace(self, threat_model=self.threat_model.scaled(factor), step_size=shorter)

    def _start(self, images: Tensor, draws: Draws) -> Tensor:
        if not self.random_start:
            return self.threat_model.zeros(images)
        return self.threat_model.noise(images, draws.index, *draws.key, "start")

    def _run(self, loop: GradientLoop) -> LoopResult:
        if not self.early_stop:
            return to_the_end(loop)
        landscape = loop.landscape
        members = asked(landscape.victim, landscape.draws)
        if self.transforms or loop.rules.look_ahead or list(members) != [landscape.victim]:
            # The steps' logits are not those of the victim for the images themselves.
            return until_fooled(loop, by_asking)
        landscape.objective = WithFooledShare(self.objective)
        return until_fooled(loop, by_the_step)

    def _result(self, images: Tensor, target: Tensor, found: LoopResult) -> Perturbed:
        nonfinite = nonfinite_facts(found.traces, target)
        return Perturbed(
            images=self.threat_model.round(images, found.images),
            float_images=found.images,
            perturbation=found.perturbation,
            steps=found.steps,
            facts=self.objective.facts(found.traces) | nonfinite,
            traces=found.traces,
            threat_model=self.threat_model,
        )


class GradientRecipe(Attack):
    """Base class of named gradient attacks, which choose the parts of a :class:`GradientAttack`."""

    kind: ClassVar[Kind] = "gradient"
    budget_fields: ClassVar[tuple[str, ...]] = ("eps", "step_size")
    eps: float
    norm: Norm

    @abstractmethod
    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""

    def with_parts(self, objective: Objective, **different: Any) -> GradientAttack:
        """Return a gradient attack on an objective in the ball of ``norm`` and ``eps``.

        All other parts are the recipe's fields of the same names.

        Args:
            objective: the objective to maximise.
            different: parts that differ from the field of their name, or have no field.
        """
        parts = {field.name for field in fields(GradientAttack)}
        told = {field.name for field in fields(self)} & parts  # type: ignore[arg-type]
        same = {name: getattr(self, name) for name in told}
        if "threat_model" not in different:
            lacking = [name for name in ("norm", "eps") if not hasattr(self, name)]
            if lacking:
                raise InputError(
                    f"{self.name} must have fields norm and eps, of which its ball is made, got "
                    f"none named {' and '.join(lacking)}. Declare them, or give with_parts a "
                    "threat_model."
                )
            same["threat_model"] = norm_ball(self.norm, self.eps)
        return GradientAttack(**same | {"objective": objective} | different)

    def __post_init__(self) -> None:
        _ = self._attack  # refuses invalid settings, before anything is attacked

    @cached_property
    def _attack(self) -> GradientAttack:
        return self.built()  # once: the fields it is derived from cannot change

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps, with draws keyed by its own name; see :class:`~project.attacks.Attack`."""
        return self._attack.climb(victim, images, target, Draws(index, self.seed, self.name))

    def traits(self) -> Traits:
        """Describe the attack, with how often a step asks its source."""
        return super().traits() | self._attack.passes()

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self._attack

    def attach(self, samples: Samples) -> None:
        """Give the transforms access to the samples."""
        self._attack.attach(samples)


def _ball(threat_model: ThreatModel) -> Traits:
    if isinstance(threat_model, Linf | L2):
        return {"norm": "linf" if isinstance(threat_model, Linf) else "l2", "eps": threat_model.eps}
    return {}

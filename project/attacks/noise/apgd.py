"""Auto-PGD: the attack, its ascent, and its step-size rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Attack
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.result import Perturbed
from project.attacks.gradient.landscape import STEEPNESS, Landscape, nonfinite_facts
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.objectives.objective import (
    ValuedByCrossEntropy,
    WithFooledShare,
)
from project.attacks.gradient.rules import GradientRule, RuleChain
from project.attacks.gradient.transforms import InputTransform
from project.core.choices import choose
from project.core.errors import InputError
from project.core.per_image import chosen
from project.core.randomness import Draws
from project.core.samples import Samples
from project.threat_models import Norm, norm_ball

Track = Literal["objective", "cross_entropy"]
"""The value by which a run judges its progress: the objective's own, or the cross-entropy's."""
TRACKS = ("objective", "cross_entropy")


@dataclass(frozen=True)
class APGD(Attack):
    r"""Auto-PGD: PGD with momentum that chooses its step size by itself, image by image.

    The first step is 2ε long; at checkpoints an image's step is halved where the ascent makes no
    progress, and the image goes on from its best iterate; see
    :func:`~project.attacks.noise.apgd.ascend`. The victim is queried once more than there are
    steps.

    The result is the iterate that fools most of the image's valid elements and, among equals, has
    the greatest objective.

    With several phases, each is a run of its own in a ball of its own, started from the last one's
    best iterate, projected. Only the last ball bounds the result.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, algorithm 1 [code]; for pixels, keeping the least accurate
    iterate, and phases: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust
    Semantic Segmentation Models", ECCV 2024 [code]. The random start is drawn from the whole ball
    and not from its surface, and the objective decides among equals [ours].
    """

    kind = "gradient"
    budget_fields = ("eps",)

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, the field's usual one."""
    steps: int = 100
    """Number of steps T of all phases together, 100 as in the code."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or
    more)."""
    objective: Objective | None = None
    """Objective to maximise; None is the mean cross-entropy. What is tracked must be stationary: an
    image's value must not depend on the step. With random views or sources values are noisy."""
    rho: float = 0.75
    """Share ρ of rising steps that must be exceeded to keep the step size, 0.75 as in the code."""
    phases: Sequence[tuple[float, float]] = ((1.0, 1.0),)
    """Phases, each the ball's radius in units of eps and its share of the steps; the last radius is
    1, the shares sum to 1."""
    random_start: bool = True
    """Whether to start at a random point of the first ball instead of at the clean image."""
    rules: Sequence[GradientRule] = ()
    """Gradient rules, applied to each gradient in this order; none that looks ahead or sets the
    lengths of steps."""
    transforms: Sequence[InputTransform] = ()
    """Input transforms, such as diverse inputs: the victim sees their views, not the images."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""
    track: Track = "objective"
    """What is compared to halve step sizes and to choose the best iterate: the ``objective``'s
    value, or the mean ``cross_entropy`` whatever the objective, as SEA's code does [code]."""

    def __post_init__(self) -> None:
        choose("track", TRACKS, self.track)
        if self.steps < 1 or not 0 <= self.rho <= 1:
            raise InputError(
                f"steps must be at least 1 and rho in [0, 1], got {self.steps} and {self.rho}."
            )
        norm_ball(self.norm, self.eps)
        _check_phases(self.phases)
        if self.track == "objective":
            _require_stationary(self.objective)
        _require_staying(self.rules)

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
            rules = RuleChain(self.rules, 2 * eps)
            start = landscape.threat_model.project(images, perturbation)
            with rules.around(victim):
                best, told = ascend(landscape, rules, start, steps, self.rho)
            perturbation, count = best.perturbation, count + best.step
            traces += told
        return self._result(images, target, perturbation, count, traces)

    def attach(self, samples: Samples) -> None:
        """Give the transforms access to the samples."""
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
        """Return the objective of a phase as a function of the perturbation."""
        objective = self.objective or CrossEntropy()
        if self.track == "cross_entropy":
            objective = ValuedByCrossEntropy(objective)
        return Landscape(
            victim,
            images,
            target,
            threat_model=norm_ball(self.norm, eps),
            objective=WithFooledShare(objective),
            transforms=self.transforms,
            targeted=self.targeted,
            total=steps + 1,  # the start is evaluated too
            draws=draws,
        )

    def _start(self, images: Tensor, index: Tensor) -> Tensor:
        if not self.random_start:
            return torch.zeros_like(images)
        first = norm_ball(self.norm, self.phases[0][0] * self.eps)
        return first.random(images, index, self.seed, self.name, "start")

    def _steps(self) -> list[int]:
        """Return each phase's number of steps, rounded down; the last phase takes the rest."""
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
            facts=nonfinite_facts(stacked, target),
            traces=stacked,
            threat_model=threat,
        )


def _require_stationary(objective: Objective | None) -> None:
    if objective is not None and not objective.stationary:
        raise InputError(
            "APGD compares the objective's values of different steps, but those of "
            f"{type(objective).__name__} change their meaning from step to step. Take a stationary "
            "one, such as CrossEntropy or MaskedCrossEntropy, track the cross_entropy instead, or "
            "run this one with PGD."
        )


def _require_staying(rules: Sequence[GradientRule]) -> None:
    ahead = [type(rule).__name__ for rule in rules if type(rule).ahead is not GradientRule.ahead]
    if ahead:
        raise InputError(
            "APGD judges the very places where it takes gradients, so its rules must not look "
            f"ahead, got {', '.join(ahead)}. Leave them out, or run them with PGD."
        )
    sizing = [
        type(rule).__name__ for rule in rules if type(rule).stretched is not GradientRule.stretched
    ]
    if sizing:
        raise InputError(
            "APGD chooses the lengths of its steps, so its rules must not, got "
            f"{', '.join(sizing)}. Leave them out, or run them with PGD."
        )


def _check_phases(phases: Sequence[tuple[float, float]]) -> None:
    positive = all(radius > 0 and share > 0 for radius, share in phases)
    whole = abs(sum(share for _, share in phases) - 1) < 1e-6
    if not (positive and whole and phases[-1][0] == 1):
        raise InputError(
            "phases must be (radius, share) pairs greater than 0, the last radius 1 and the shares "
            f"summing to 1, got {list(phases)}."
        )


_INERTIA = 0.25
"""1 − α, the share of the last move that is repeated."""


class AscentPoint(NamedTuple):
    """An evaluated iterate of each image of a batch, (N, …) each.

    Attributes:
        perturbation: (N, 3, H, W).
        gradient: of the objective there, (N, 3, H, W).
        value: of the objective there.
        fooled: the share of valid elements at the aim.
        step: the number of steps that led there, int64.
        steepness: whether the gradient is 0 or not finite; see :data:`STEEPNESS`.
    """

    perturbation: Tensor
    gradient: Tensor
    value: Tensor
    fooled: Tensor
    step: Tensor
    steepness: Tensor

    @property
    def rank(self) -> Tensor:
        """The value, (N,); -∞ where it is not finite, since a victim that breaks is not fooled."""
        return self.value.nan_to_num(-torch.inf, -torch.inf, -torch.inf)

    def told(self) -> dict[str, Tensor]:
        """Return the traces of a step that starts here, (N,) each."""
        return {"objective": self.value, "fooled": self.fooled, STEEPNESS: self.steepness}


def ascend(
    landscape: Landscape, rules: RuleChain, start: Tensor, steps: int, rho: float
) -> tuple[AscentPoint, list[dict[str, Tensor]]]:
    r"""Ascend with momentum; where there is no progress, halve the step and restart from the best.

    $$z = \Pi(\delta_k + \eta\, s(g_k)),\quad \delta_{k+1} = \Pi(\delta_k + \alpha (z - \delta_k) +
    (1 - \alpha)(\delta_k - \delta_{k-1}))$$, α = 0.75; an image whose η is halved goes on from its
    iterate of the greatest value. Every image decides for itself.

    Source: Croce & Hein, ICML 2020, algorithm 1 [code].

    Args:
        landscape: the objective to maximise; it must trace ``fooled``.
        rules: applied to each gradient; η starts at their step size.
        start: (N, 3, H, W), an allowed perturbation.
        steps: T; the objective is evaluated T + 1 times.
        rho: see :class:`~project.attacks.noise.apgd.StepSizes`.

    Returns:
        The best iterates: those that fool most and, among equals, have the greatest value. And the
        traces of each step, (N,) each: ``objective``, ``fooled`` and the gradient's steepness where
        it started, and ``step_size``.
    """
    point = _look(landscape, start, 0)
    # Two kinds of best: the greatest value, from which halved images go on, and the most fooled,
    # which is returned.
    highest, best = BestSoFar(point, point.value), BestSoFar(point, point.value)
    highest.offer(point, point.rank)
    best.offer(point, point.fooled, -point.rank)
    sizes = StepSizes(rules.step_size, point.value, steps, rho)
    before, traces = start, []
    for number in range(1, steps + 1):
        traces.append(point.told() | {"step_size": sizes.sizes})
        gradient = rules(landscape, point.gradient, point.perturbation, number)
        moved = _moved(landscape, point.perturbation, before, gradient, sizes.sizes)
        # An image sent back at a checkpoint takes the way from here to its best as its last move.
        before = point.perturbation
        point = _look(landscape, moved, number)
        highest.offer(point, point.rank)
        best.offer(point, point.fooled, -point.rank)
        halved = sizes.update(number, point.value, highest.found.value)
        point = chosen(halved, highest.found, point)
    return best.found, traces


def _look(landscape: Landscape, perturbation: Tensor, number: int) -> AscentPoint:
    there = landscape.value_and_gradient(perturbation, number + 1)
    step = torch.full((len(perturbation),), number, device=perturbation.device)
    told = there.traces["fooled"], step, there.traces[STEEPNESS]
    return AscentPoint(perturbation, there.gradient, there.value, *told)


def _moved(
    landscape: Landscape, here: Tensor, before: Tensor, gradient: Tensor, sizes: Tensor
) -> Tensor:
    """Return the next perturbation; the first step, without a last move, has no inertia."""
    threat_model = landscape.threat_model
    project = threat_model.projection(landscape.images)
    aim = project(here + sizes.view(-1, 1, 1, 1) * threat_model.ascent(gradient))
    if before is here:
        return aim
    move = (1 - _INERTIA) * (aim - here) + _INERTIA * (here - before)
    return project(here + move)


def checkpoints(steps: int) -> list[int]:
    r"""Return the steps after which step sizes may be halved, in ever shorter periods.

    The first period is 22 % of all steps, each next one 3 % shorter, the shortest 6 %; each is at
    least one step. Of 100 steps: 22, 41, 57, 70, 80, 87, 93, 99.

    Source: Croce & Hein, ICML 2020; percentages rounded down [code].

    Args:
        steps: T.
    """
    period, shorter, shortest = (max(steps * percent // 100, 1) for percent in (22, 3, 6))
    found, reached = [], period
    while reached <= steps:
        found.append(reached)
        period = max(period - shorter, shortest)
        reached += period
    return found


class StepSizes:
    r"""Each image's own step size, halved at checkpoints where the ascent makes no progress.

    That is so if the value rose in at most a share ρ of the steps since the last checkpoint; or if
    the step size was not halved there and the best value is still the same.

    Source: Croce & Hein, ICML 2020; "at most", and no second condition at the first checkpoint
    [code]. That code compares the first step's value with an entry not yet written, 0; here it is
    compared with the start's value [ours].

    Args:
        size: η of the first step.
        values: (N,), the objective at the start.
        steps: T.
        rho: ρ, in [0, 1].

    Attributes:
        sizes: (N,), η of the next step.
    """

    def __init__(self, size: float, values: Tensor, steps: int, rho: float) -> None:
        self.sizes = torch.full_like(values, size)
        self._rho = rho
        self._checkpoints = frozenset(checkpoints(steps))
        self._last = 0
        self._values = values
        self._best = values
        self._rises = torch.zeros_like(values)
        self._halved = torch.ones_like(values, dtype=torch.bool)

    def update(self, number: int, values: Tensor, best: Tensor) -> Tensor:
        """Record the outcome of a step, and return which images go back to their best iterate.

        Args:
            number: number of the step, 1 … T.
            values: (N,), the objective after it.
            best: (N,), its greatest value so far.

        Returns:
            (N,) bool: those whose step size was halved.
        """
        self._rises = self._rises + (values > self._values)
        self._values = values
        if number not in self._checkpoints:
            return torch.zeros_like(self._halved)
        # Few rises: the steps overshoot. The first checkpoint has no earlier best to compare with,
        # so _halved starts as True, which leaves out the second condition there.
        oscillates = self._rises <= self._rho * (number - self._last)
        stuck = ~self._halved & (best <= self._best)
        self._halved = oscillates | stuck
        self.sizes = torch.where(self._halved, self.sizes / 2, self.sizes)
        self._rises = torch.zeros_like(self._rises)
        self._best, self._last = best, number
        return self._halved

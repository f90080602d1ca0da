"""The gradient rules of one run, applied in order, with their memories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial

from torch import Tensor, nn

from project.attacks.gradient.landscape import Landscape
from project.attacks.gradient.objectives.objective import Memory
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.core.per_image import PerImage


class RuleChain(PerImage):
    """Apply rules one after another, each with its own memory and draws.

    Args:
        rules: the rules, in the order in which they are applied.
        step_size: step size α, in the threat model's units.
    """

    def __init__(self, rules: Sequence[GradientRule], step_size: float) -> None:
        self.rules = rules
        self.step_size = step_size
        self._memories: list[Memory] = [{} for _ in rules]

    @property
    def look_ahead(self) -> bool:
        """Whether any rule takes its gradient elsewhere than at the current iterate."""
        return any(type(rule).ahead is not GradientRule.ahead for rule in self.rules)

    @property
    def stretches(self) -> bool:
        """Whether any rule gives the values of a step lengths of their own."""
        return any(type(rule).stretched is not GradientRule.stretched for rule in self.rules)

    @contextmanager
    def around(self, victim: nn.Module) -> Iterator[None]:
        """Hold what the rules do to the victim while it is attacked."""
        with ExitStack() as held:
            for rule in self.rules:
                held.enter_context(rule.around(victim))
            yield

    def ahead(self, landscape: Landscape, perturbation: Tensor, number: int) -> Tensor:
        """Return where step ``number`` takes its gradient, clipped to the range of an image."""
        point = perturbation
        for place, rule in reversed([*enumerate(self.rules)]):
            context = self._context(landscape, perturbation, number, place)
            point = rule.ahead(point, self._memories[place], context)
        if point is perturbation:  # unchanged, so inside the range already
            return point
        return landscape.threat_model.within_range(landscape.images, point)

    def __call__(
        self, landscape: Landscape, gradient: Tensor, perturbation: Tensor, number: int
    ) -> Tensor:
        """Return the gradient after all rules."""
        for place, rule in enumerate(self.rules):
            context = self._context(landscape, perturbation, number, place)
            gradient = rule(gradient, self._memories[place], context)
        return gradient

    def stretched(
        self, landscape: Landscape, direction: Tensor, perturbation: Tensor, number: int
    ) -> Tensor:
        """Return the step's direction, its values at lengths of their own."""
        for place, rule in enumerate(self.rules):
            context = self._context(landscape, perturbation, number, place)
            direction = rule.stretched(direction, self._memories[place], context)
        return direction

    def _context(
        self, landscape: Landscape, perturbation: Tensor, number: int, place: int
    ) -> StepContext:
        return StepContext(
            number=number,
            total=landscape.total,
            images=landscape.images,
            perturbation=perturbation,
            step_size=self.step_size,
            threat_model=landscape.threat_model,
            draws=landscape.draws.keyed(number, "rule", place),
            gradient_at=partial(_beside, landscape, number),
            victim=landscape.victim,
        )


def _beside(landscape: Landscape, number: int, perturbation: Tensor, look: int) -> Tensor:
    point = landscape.threat_model.within_range(landscape.images, perturbation)
    return landscape.gradient_beside(point, number, look)

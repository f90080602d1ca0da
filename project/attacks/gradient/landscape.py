"""What an attack climbs: the objective as a function of the perturbation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from project.attacks.core.query import Answer, ask
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.objective import Memory, Step
from project.attacks.gradient.transforms import InputTransform, View, all_views
from project.core.losses import VOID, valid_elements
from project.core.per_image import PerImage
from project.core.randomness import Draws
from project.threat_models import Pullback, ThreatModel
from project.victims.ensemble import asked


class ValueAndGradient(NamedTuple):
    """The objective around one perturbation.

    Attributes:
        value: (N,), to be climbed also by targeted attacks: theirs is the negated objective.
        gradient: of ``value`` with respect to the perturbation, in its shape, finite; a tensor of
            its own.
        traces: (N,) each, what the objective tells, and whether there is a slope; see
            :mod:`project.attacks.gradient.landscape`.
    """

    value: Tensor
    gradient: Tensor
    traces: dict[str, Tensor]


class Landscape(PerImage):
    """The objective of one batch, averaged over the sources asked and the views shown to them.

    Views and sources are taken one after another, so memory does not grow with their number.

    Args:
        victim: whom to ask; an ensemble says itself which of its members.
        images: (N, 3, H, W), the clean images.
        target: (N,) or (N, H, W).
        threat_model: what a perturbation is.
        objective: what to climb (to descend, where targeted).
        transforms: what the victim is shown instead of the images.
        targeted: whether the target is wanted.
        total: T, the number of steps.
        draws: of the samples, for this attack.
    """

    def __init__(
        self,
        victim: nn.Module,
        images: Tensor,
        target: Tensor,
        *,
        threat_model: ThreatModel,
        objective: Objective,
        transforms: Sequence[InputTransform],
        targeted: bool,
        total: int,
        draws: Draws,
    ) -> None:
        self.victim = victim
        self.images = images
        self.target = target
        self.threat_model = threat_model
        self.objective = objective
        self.transforms = transforms
        self.targeted = targeted
        self.total = total
        self.draws = draws
        self._memories: dict[nn.Module, Memory] = {}
        self._answers: dict[nn.Module, Answer] = {}

    def value_and_gradient(self, perturbation: Tensor, number: int) -> ValueAndGradient:
        """Return the objective and its gradient at step ``number``.

        Args:
            perturbation: inside the range of an image; see
                :meth:`~project.threat_models.ThreatModel.perturb_and_pullback`.
            number: t, from 1 on.
        """
        return self.value_and_gradient_of(
            *self.threat_model.perturb_and_pullback(self.images, perturbation), number
        )

    def value_and_gradient_of(
        self, images: Tensor, pull_back: Pullback, number: int
    ) -> ValueAndGradient:
        """Return the same of images that a perturbation has met already."""
        return self._value_and_gradient(
            images, pull_back, number, self.draws.keyed(number), self._memories
        )

    def gradient_beside(self, perturbation: Tensor, number: int, look: int) -> Tensor:
        """Return the gradient at another place than where the attack stands; nothing is kept."""
        draws = self.draws.keyed(number, "beside", look)
        memories = {member: dict(memory) for member, memory in self._memories.items()}
        met = self.threat_model.perturb_and_pullback(self.images, perturbation)
        return self._value_and_gradient(*met, number, draws, memories).gradient

    def _value_and_gradient(
        self,
        images: Tensor,
        pull_back: Pullback,
        number: int,
        draws: Draws,
        memories: dict[nn.Module, Memory],
    ) -> ValueAndGradient:
        average = _average(
            self._look(images, member, view, number, memories.setdefault(member, {}))
            for member in asked(self.victim, draws.keyed("source"))
            for view in all_views(self.transforms, draws.keyed("view"))
        )
        gradient, slope = finite(pull_back(average.gradient))
        return average._replace(gradient=gradient, traces=average.traces | {STEEPNESS: slope})

    def _look(
        self, images: Tensor, member: nn.Module, view: View, number: int, memory: Memory
    ) -> ValueAndGradient:
        """Return one member's answer to one view; the gradient is that of the images."""
        images = images.detach().requires_grad_()
        target = self._followed(view, self.target, VOID)
        answer = ask(member, view.change(images), target, self.objective.layer)
        step = Step(
            number,
            self.total,
            answer.logits,
            target,
            self.targeted,
            lambda: self._followed(view, self._clean(member).logits, 0),
            memory,
            features=answer.features,
            clean_features=lambda: self._clean_features(member, view, target),
        )
        value = self.objective(step)
        value = -value if self.targeted else value
        (gradient,) = torch.autograd.grad(value.sum(), images)
        if 0 in gradient.stride():  # one number in memory for many pixels could not be written to
            gradient = gradient.contiguous()
        value = value.detach()
        return ValueAndGradient(value, gradient, {"objective": value, **step.traces})

    def _followed(self, view: View, values: Tensor, outside: int) -> Tensor:
        """Bring labels or logits of pixels into the view's frame; those of images stay."""
        return view.follow(values, outside) if self.target.ndim > 1 else values

    def _clean(self, member: nn.Module) -> Answer:
        """Return a member's answer to the clean images, asked for when first needed."""
        if member not in self._answers:
            with torch.no_grad():
                answer = ask(member, self.images, self.target, self.objective.layer)
            self._answers[member] = answer
        return self._answers[member]

    def _clean_features(self, member: nn.Module, view: View, target: Tensor) -> Tensor:
        """Return the clean images' features, seen in the same view."""
        answer = self._clean(member)
        if self.transforms:
            with torch.no_grad():
                answer = ask(member, view.change(self.images), target, self.objective.layer)
        assert answer.features is not None
        return answer.features


def _average(slopes: Iterator[ValueAndGradient]) -> ValueAndGradient:
    """Average value, gradient and traces; of a single slope they stay as they are, bit for bit."""
    total, count = next(slopes), 1
    for slope in slopes:
        traces = {name: total.traces[name] + slope.traces[name] for name in total.traces}
        total = ValueAndGradient(total.value + slope.value, total.gradient + slope.gradient, traces)
        count += 1
    if count == 1:
        return total
    traces = {name: values / count for name, values in total.traces.items()}
    return ValueAndGradient(total.value / count, total.gradient / count, traces)


STEEPNESS = "slope"
"""The trace that tells of flaws: (N,), 0 where the gradient is 0 everywhere, ∞ where a value of it
is no number, and else any number between."""


def finite(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Take a gradient as 0 where it is NaN or infinite, and tell whether there is any slope.

    Image by image, one such value would else spread over the whole perturbation.

    Args:
        gradient: (N, C, H, W).

    Returns:
        The gradient, finite, and :data:`STEEPNESS`.
    """
    flat = gradient.flatten(1)
    if gradient.is_cpu:  # a GPU would have to be waited for
        sums = flat.sum(1).abs()  # one pass rules out both flaws, but where a sum happens to be 0
        if sums.amin() > 0 and sums.amax() < math.inf:
            return gradient, sums
    largest = torch.maximum(-flat.amin(1), flat.amax(1))  # NaN where a value is
    return gradient.nan_to_num(0.0, 0.0, 0.0), largest.nan_to_num(torch.inf, torch.inf)


def nonfinite_facts(traces: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """Take :data:`STEEPNESS` out of a run's traces, (N, T) each, and count the flaws in it.

    Args:
        traces: NaN where an image made no step.
        target: (N,) or (N, H, W); of an image that is void everywhere a gradient of 0 is right.

    Returns:
        (N,) in [0, 1] each, shares of an image's steps: ``zero_gradient``, exactly 0 everywhere;
        ``bad_gradient``, NaN or infinite somewhere.
    """
    slope = traces.pop(STEEPNESS)
    labelled = valid_elements(target).flatten(1).any(1) if target.ndim > 1 else True
    steps = (~slope.isnan()).sum(1).clamp(min=1)
    zero, bad = (slope == 0).sum(1), (slope == torch.inf).sum(1)
    return {"zero_gradient": zero * labelled / steps, "bad_gradient": bad / steps}

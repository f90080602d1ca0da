"""The objective of an attack and its gradient, as functions of the perturbation."""

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
    """Value and gradient of the objective at one perturbation.

    Attributes:
        value: (N,), to be maximised, also by targeted attacks, where it is the negated objective.
        gradient: of ``value`` with respect to the perturbation, in its shape, finite; a tensor of
            its own, which may be overwritten.
        traces: (N,) each: the objective's own, its value as ``objective``, and
            :data:`STEEPNESS`, whether the gradient is 0 or not finite.
    """

    value: Tensor
    gradient: Tensor
    traces: dict[str, Tensor]


class Landscape(PerImage):
    """The objective of one batch, averaged over the queried victims and the views of the images.

    Views and victims are taken one after another, each with a backward pass of its own, so memory
    does not grow with their number.

    Args:
        victim: the victim; an ensemble chooses which of its members to query.
        images: (N, 3, H, W), the clean images.
        target: (N,) or (N, H, W).
        threat_model: the kind of perturbation.
        objective: the objective to maximise (to minimise, where targeted).
        transforms: the input transforms, whose views the victim sees instead of the images.
        targeted: whether the victim shall predict the target.
        total: T, the number of steps.
        draws: random draws of the samples, for this attack.
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
            perturbation: such that the perturbed images lie in [0, 1]; see
                :meth:`~project.threat_models.ThreatModel.perturb_and_pullback`.
            number: t, from 1 on.
        """
        return self.value_and_gradient_of(
            *self.threat_model.perturb_and_pullback(self.images, perturbation), number
        )

    def value_and_gradient_of(
        self, images: Tensor, pull_back: Pullback, number: int
    ) -> ValueAndGradient:
        """Return the same for images that are perturbed already, with the pullback."""
        return self._value_and_gradient(
            images, pull_back, number, self.draws.keyed(number), self._memories
        )

    def gradient_beside(self, perturbation: Tensor, number: int, look: int) -> Tensor:
        """Return the gradient at another perturbation than the current iterate.

        The objective's memory is not changed.
        """
        draws = self.draws.keyed(number, "beside", look)
        # A copy, so that what the objective remembers belongs to the iterates alone.
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
        """Return value and gradient for one member and one view, with respect to the images."""
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
        # Of the sum: images do not interact, so each gets the gradient of its own value. It ends at
        # the images; the pullback to the perturbation is shared by all members and views.
        (gradient,) = torch.autograd.grad(value.sum(), images)
        if 0 in gradient.stride():  # one number in memory for many pixels could not be written to
            gradient = gradient.contiguous()
        value = value.detach().to(images.dtype)  # step sizes and best values follow the images
        return ValueAndGradient(value, gradient, {"objective": value, **step.traces})

    def _followed(self, view: View, values: Tensor, outside: int) -> Tensor:
        """Bring pixel labels or logits into the view's frame; image labels do not change."""
        return view.follow(values, outside) if self.target.ndim > 1 else values

    def _clean(self, member: nn.Module) -> Answer:
        """Return a member's answer to the clean images, queried when first needed."""
        if member not in self._answers:
            with torch.no_grad():
                answer = ask(member, self.images, self.target, self.objective.layer)
            self._answers[member] = answer
        return self._answers[member]

    def _clean_features(self, member: nn.Module, view: View, target: Tensor) -> Tensor:
        """Return the features of the clean images in the same view."""
        answer = self._clean(member)
        if self.transforms:
            with torch.no_grad():
                answer = ask(member, view.change(self.images), target, self.objective.layer)
        assert answer.features is not None
        return answer.features


def _average(slopes: Iterator[ValueAndGradient]) -> ValueAndGradient:
    """Average value, gradient and traces; a single input is returned unchanged, bit for bit."""
    total, count = next(slopes), 1
    for slope in slopes:  # one at a time: no more than a sum and a summand are in memory
        traces = {name: total.traces[name] + slope.traces[name] for name in total.traces}
        total = ValueAndGradient(total.value + slope.value, total.gradient + slope.gradient, traces)
        count += 1
    if count == 1:  # no passes over memory for a division by 1
        return total
    traces = {name: values / count for name, values in total.traces.items()}
    return ValueAndGradient(total.value / count, total.gradient / count, traces)


STEEPNESS = "slope"
"""Name of the trace for unusable gradients: (N,), 0 where the gradient is 0 everywhere, ∞ where a
value of it is NaN or infinite, and any number between otherwise."""


def finite(gradient: Tensor) -> tuple[Tensor, Tensor]:
    """Replace NaN and infinite values of a gradient by 0, and report where it was 0 or not finite.

    Otherwise one such value would spread over its image's whole perturbation.

    Args:
        gradient: (N, C, H, W).

    Returns:
        The gradient, finite, and :data:`STEEPNESS`.
    """
    flat = gradient.flatten(1)
    if gradient.is_cpu:  # on a GPU, looking at the sums would make the host wait for it
        # A sum that is finite and not 0 rules out both NaN or infinity and zeros everywhere, in one
        # pass over memory. A sum may cancel to 0 or overflow by chance: then look closely.
        sums = flat.sum(1).abs()
        if sums.amin() > 0 and sums.amax() < math.inf:
            return gradient, sums
    largest = torch.maximum(-flat.amin(1), flat.amax(1))  # NaN where any value is NaN
    return gradient.nan_to_num(0.0, 0.0, 0.0), largest.nan_to_num(torch.inf, torch.inf)


def nonfinite_facts(traces: dict[str, Tensor], target: Tensor) -> dict[str, Tensor]:
    """Remove :data:`STEEPNESS` from a run's traces, and count zero and non-finite gradients in it.

    Args:
        traces: (N, T) each; NaN where an image made no step.
        target: (N,) or (N, H, W); for an image that is void everywhere a gradient of 0 is right.

    Returns:
        (N,) in [0, 1] each, shares of an image's steps: ``zero_gradient``, exactly 0 everywhere;
        ``bad_gradient``, NaN or infinite somewhere.
    """
    slope = traces.pop(STEEPNESS)
    labelled = valid_elements(target).flatten(1).any(1) if target.ndim > 1 else True
    steps = (~slope.isnan()).sum(1).clamp(min=1)
    zero, bad = (slope == 0).sum(1), (slope == torch.inf).sum(1)
    return {"zero_gradient": zero * labelled / steps, "bad_gradient": bad / steps}

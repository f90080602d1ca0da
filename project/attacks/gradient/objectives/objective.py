"""The interface of objectives and the step that they see, with cross-entropy and margin.

Each objective is a loss per image with respect to ``target``; attacks maximise it, or minimise it
where they are targeted. Splits and weights carry no gradient.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch
from torch import Tensor, nn

from project.attacks.core.query import query, resisting
from project.core.fields import CheckedFields
from project.core.losses import cross_entropy, margin, mean_over_valid, valid_elements

Memory = dict[str, Tensor]
"""Tensors (N, …) by name that a part keeps from step to step of one run."""


@dataclass
class Step:
    """One step of an attack, as its objective sees it; derived values are computed once, on demand.

    Attributes:
        number: t = 1 … total.
        total: T.
        logits: (N, K, ...), of the current images, with gradient.
        target: (N, ...).
        targeted: whether the victim shall predict the target.
        clean_logits: returns the logits of the clean images, (N, K, ...), without gradient.
        memory: tensors that the objective keeps from step to step of one run.
        traces: (N,) each, values that the objective records for this step.
        features: (N, C, h, w) of the current images in the objective's layer, with gradient; None
            where it names no layer.
        clean_features: returns those of the clean images, without gradient; only where the
            objective names a layer.
    """

    number: int
    total: int
    logits: Tensor
    target: Tensor
    targeted: bool
    clean_logits: Callable[[], Tensor]
    memory: Memory
    traces: dict[str, Tensor] = field(default_factory=dict)
    features: Tensor | None = None
    clean_features: Callable[[], Tensor] | None = None

    @cached_property
    def valid(self) -> Tensor:
        """Where the target is not void, bool (N, ...)."""
        return valid_elements(self.target)

    @cached_property
    def resisting(self) -> Tensor:
        """Where the aim is not reached (P_T of the papers), bool (N, ...)."""
        return resisting(self.logits.detach(), self.target, self.targeted)

    @cached_property
    def cross_entropy(self) -> Tensor:
        """CE of each element, (N, ...), with gradient."""
        return cross_entropy(self.logits, self.target)


def clean_answer(victim: nn.Module, images: Tensor, target: Tensor) -> Callable[[], Tensor]:
    """Return a function that queries the clean images' logits at its first call, and keeps them."""

    @cache
    def clean_logits() -> Tensor:
        with torch.no_grad():
            return query(victim, images, target)

    return clean_logits


class Objective(CheckedFields, ABC):
    """Base class of objectives: a loss per image.

    Attributes:
        layer: dotted name of the victim's submodule whose output the objective needs, as
            ``step.features``; None: it needs the logits only.
        stationary: whether equal images have equal values at all steps, so that values of
            different steps can be compared.
    """

    layer: str | None = None
    stationary: bool = True

    @abstractmethod
    def __call__(self, step: Step) -> Tensor:
        """Return each image's loss, (N,), with gradient."""

    def facts(self, traces: dict[str, Tensor]) -> dict[str, Tensor]:
        """Summarise a run's traces, (N, T) each, as facts of the images, (N,) each.

        Steps that an image did not make are NaN.
        """
        return {}


@dataclass(frozen=True)
class CrossEntropy(Objective):
    r"""Mean cross-entropy over the N valid elements: $$\frac{1}{N} \sum_i CE_i$$.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks",
    ICLR 2018 [paper].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean cross-entropy, (N,)."""
        return mean_over_valid(step.cross_entropy, step.valid)


@dataclass(frozen=True)
class Margin(Objective):
    r"""Mean lead of the best other class: $$\max_{k \ne y} z_k - z_y$$, on logits.

    Source: Carlini & Wagner, S&P 2017, loss f6 with κ = ∞ [paper].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean lead of the best other class, (N,)."""
        return -mean_over_valid(margin(step.logits, step.target), step.valid)


def weighted_split(step: Step, emphasised: Tensor, low: float | Tensor) -> Tensor:
    r"""Weigh two groups of elements: $$\frac{1-w}{N} \sum_{P} CE_i + \frac{w}{N} \sum_{P^c} CE_i$$.

    Args:
        step: the step, whose valid elements number N.
        emphasised: bool (N, ...), the group P.
        low: w, the weight of the other group, in [0, 1]; a number, or one per image (N, 1, …).

    Returns:
        (N,), with gradient.
    """
    losses = step.cross_entropy
    if not isinstance(low, Tensor):
        # Filled on the device: copying a number to it would make the host wait.
        low = losses.new_full((), low)
    return mean_over_valid(losses * torch.where(emphasised, 1 - low, low), step.valid)


class WithFooledShare(Objective):
    """Another objective that also traces ``fooled``, the share of valid elements at the aim.

    So an attack can compare iterates by their success, without querying the victim again.

    Source: [ours].

    Args:
        objective: the objective whose value is returned.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.layer = objective.layer
        self.stationary = objective.stationary

    def __call__(self, step: Step) -> Tensor:
        """Return the objective's value, (N,)."""
        step.traces["fooled"] = mean_over_valid((~step.resisting).float(), step.valid)
        return self.objective(step)


class ValuedByCrossEntropy(Objective):
    r"""Another objective's gradient, with the mean cross-entropy as its value.

    So an attack that compares iterates ascends one loss and judges its progress by another. The
    cross-entropy means the same at every step, so the objective need not be stationary.

    Source: [ours].

    Args:
        objective: the objective whose gradient is passed on.
    """

    def __init__(self, objective: Objective) -> None:
        self.objective = objective
        self.layer = objective.layer

    def __call__(self, step: Step) -> Tensor:
        """Return the mean cross-entropy, (N,), with the objective's gradient."""
        own = self.objective(step)
        value = mean_over_valid(step.cross_entropy, step.valid).detach()
        return value + (own - own.detach())  # the bracket is 0, and carries the gradient

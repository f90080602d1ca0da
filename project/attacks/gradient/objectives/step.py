"""What the objective of an attack may look at."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, cached_property

import torch
from torch import Tensor, nn

from project.attacks.core.query import query, resisting
from project.core.losses import cross_entropy, valid_elements

Memory = dict[str, Tensor]
"""By name, (N, …) each: what is kept from step to step of one run."""


@dataclass
class Step:
    """One step of an attack, as its objective sees it; what it derives is computed once, if asked.

    Attributes:
        number: t = 1 … total.
        total: T.
        logits: (N, K, ...), of the current images, with gradient.
        target: (N, ...).
        targeted: whether the target is wanted.
        clean_logits: returns the logits of the clean images, (N, K, ...), without gradient.
        memory: what the objective keeps from step to step of one run.
        traces: (N,) each, what the objective wants told about this step.
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
    """Return what asks a victim for the clean images' logits when first called, and keeps them."""

    @cache
    def clean_logits() -> Tensor:
        with torch.no_grad():
            return query(victim, images, target)

    return clean_logits

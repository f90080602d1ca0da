"""Attacks that try one wrong class after another."""

from __future__ import annotations

import copy
from abc import abstractmethod
from functools import partial
from typing import Self

from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed
from project.attacks.core.survivors import Survivors
from project.core.errors import InputError
from project.threat_models import Norm, norm_ball


class ClassByClass(Attack):
    """Try the best wrong classes in turn, each on the images that still resist.

    Any wrong class is a success. Where there are fewer wrong classes than asked for, all are tried.
    Rows tell as ``rank`` which one led to the image, 1 the best, -1 where none did.

    Args:
        eps: budget in units of the [0, 1] range.
        steps: for each class.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image.
        classes: how many wrong classes at most.
        seed: the key of all draws.
    """

    kind = "gradient"
    targeted = False

    def __init__(
        self,
        eps: float = 8 / 255,
        steps: int = 100,
        norm: Norm = "linf",
        classes: int = 9,
        seed: int = 0,
    ) -> None:
        norm_ball(norm, eps)
        if steps < 1 or classes < 1:
            raise InputError(f"steps and classes must be at least 1, got {steps} and {classes}.")
        self.eps = eps
        self.steps = steps
        self.norm = norm
        self.classes = classes
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Try class after class."""
        survivors = Survivors(victim, images, target, index, self.targeted)
        for rank in range(1, min(self.classes, survivors.logits.shape[1] - 1) + 1):
            survivors.face(partial(self.towards, victim, rank), rank)
        return survivors.result("rank")

    @abstractmethod
    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search towards the wrong class of a rank, 1 the best; as ``perturb`` otherwise."""

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget."""
        scaled = copy.copy(self)
        scaled.eps = factor * self.eps
        return scaled

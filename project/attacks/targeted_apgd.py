"""Auto-PGD towards one wrong class after another."""

from __future__ import annotations

import copy
from functools import partial
from typing import Self

from torch import Tensor, nn

from project.attacks.apgd import APGD
from project.attacks.attack import Attack, Perturbed
from project.attacks.objectives import DLRTowards
from project.attacks.survivors import Survivors
from project.errors import InputError
from project.randomness import derived_seed
from project.threat_models import Norm, norm_ball


class TargetedAPGD(Attack):
    """APGD-T: Auto-PGD on the ratio towards each of the best wrong classes, best first.

    Each class is tried on the images that still resist; any wrong class is a success. Where there
    are fewer wrong classes than asked for, all are tried. Rows tell as ``rank`` which one led to
    the image, -1 where none did; see also :class:`~project.attacks.objectives.DLRTowards`.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020 [code].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        steps: T for each class, 100 as in the code.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        classes: how many wrong classes at most, 9 as in the code.
        seed: the key of all draws; each class has its own.
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
            survivors.face(partial(self._towards(rank).perturb, victim), rank)
        return survivors.result("rank")

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget."""
        scaled = copy.copy(self)
        scaled.eps = factor * self.eps
        return scaled

    def _towards(self, rank: int) -> APGD:
        seed = derived_seed(self.seed, self.name, rank)
        return APGD(self.eps, self.steps, self.norm, DLRTowards(rank), seed=seed)

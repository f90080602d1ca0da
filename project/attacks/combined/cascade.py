"""Several attacks in turn, each on what the ones before could not fool."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from typing import Self

from torch import Tensor, nn

from project.attacks.core.attack import Attack, Perturbed
from project.attacks.core.survivors import Survivors
from project.core.errors import InputError
from project.core.samples import Samples


class Cascade(Attack):
    """The worst case of several noise attacks, each run only on the images that still resist.

    An image that is fooled as a whole costs nothing any more; of one that never is, the attack is
    taken that fools most of it (of a classifier's image, the first). Rows tell it as ``member``,
    its place in the list; -1 where none fools anything, or the image was wrong from the start.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020 [code]; there an image that resists stays clean, here it is
    the first attack's, and what counts are the 8-bit images [ours].

    Args:
        attacks: at least two that add noise, the quickest first.
    """

    kind = "ensemble"

    def __init__(self, attacks: Sequence[Attack]) -> None:
        if len(attacks) < 2:
            raise InputError(f"Cascade runs at least two attacks in turn, got {len(attacks)}.")
        if len({attack.targeted for attack in attacks}) > 1:
            raise InputError("Cascade needs attacks that are all targeted or all untargeted.")
        self.attacks = attacks
        self.targeted = attacks[0].targeted
        self.seed = attacks[0].seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Let the images face all attacks."""
        survivors = Survivors(victim, images, target, index, self.targeted)
        for place, attack in enumerate(self.attacks):
            survivors.face(partial(attack.perturb, victim), place)
        return survivors.result("member")

    def attach(self, samples: Samples) -> None:
        """Let all attacks know the data set."""
        for attack in self.attacks:
            attack.attach(samples)

    def reseeded(self, seed: int) -> Self:
        """Return it with attacks of other draws."""
        reseeded = super().reseeded(seed)
        reseeded.attacks = [attack.reseeded(seed) for attack in self.attacks]
        return reseeded

    def scaled(self, factor: float) -> Self:
        """Return it with attacks of ``factor`` times their budgets."""
        scaled = copy.copy(self)
        scaled.attacks = [attack.scaled(factor) for attack in self.attacks]
        return scaled

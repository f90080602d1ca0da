"""Several attacks in turn, each on the images that the ones before could not fool."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from torch import Tensor, nn

from project.attacks.combined.combination import Combination, require_several
from project.attacks.core.attack import Attack
from project.attacks.core.result import Perturbed
from project.attacks.core.survivors import Survivors


@dataclass(frozen=True)
class Cascade(Combination):
    """The worst case of several noise attacks, each run only on the images that still resist.

    An image that is fooled as a whole costs no further passes; one that never is takes the attack
    that fools most of it (with a classifier, the first). Rows hold the attack as ``member``, its
    index in the list; -1 where none fools anything, or the image was wrong from the start.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020 [code]; there an image that resists stays clean, here it is
    the first attack's, and what counts are the 8-bit images [ours].
    """

    kind = "ensemble"

    attacks: Sequence[Attack]
    """Attacks, at least two, which add noise, the quickest first."""

    def __post_init__(self) -> None:
        require_several(self, self.attacks)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all attacks in turn."""
        survivors = Survivors(victim, images, target, index, self.targeted)
        for place, attack in enumerate(self.attacks):
            survivors.face(partial(attack.perturb, victim), place)
        return survivors.result("member")

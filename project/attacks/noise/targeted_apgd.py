"""Auto-PGD towards one wrong class after another."""

from __future__ import annotations

from torch import Tensor, nn

from project.attacks.core.attack import Perturbed
from project.attacks.gradient.objectives import DLRTowards
from project.attacks.noise.apgd import APGD
from project.attacks.noise.targeted_classes import ClassByClass
from project.core.randomness import derived_seed


class TargetedAPGD(ClassByClass):
    """APGD-T: Auto-PGD on the ratio towards each of the best wrong classes, best first.

    Each class is tried on the images that still resist; any wrong class is a success. Where there
    are fewer wrong classes than asked for, all are tried. Rows tell as ``rank`` which one led to
    the image, -1 where none did; see also :class:`~project.attacks.DLRTowards`.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020 [code].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        steps: T for each class, 100 as in the code.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        classes: how many wrong classes at most, 9 as in the code.
        seed: the key of all draws; each class has its own.
    """

    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Climb the ratio towards one class."""
        return self._run(rank).perturb(victim, images, target, index)

    def _run(self, rank: int) -> APGD:
        seed = derived_seed(self.seed, self.name, rank)
        return APGD(self.eps, self.steps, self.norm, DLRTowards(rank), seed=seed)

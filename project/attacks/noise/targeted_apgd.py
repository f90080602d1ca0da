"""Auto-PGD towards one wrong class after another."""

from dataclasses import dataclass

from torch import Tensor, nn

from project.attacks.core.result import Perturbed
from project.attacks.gradient.objectives import DLRTowards
from project.attacks.noise.apgd import APGD
from project.attacks.noise.targeted_classes import TargetedClasses
from project.core.randomness import derived_seed


@dataclass(frozen=True)
class TargetedAPGD(TargetedClasses):
    """APGD-T: Auto-PGD on the ratio towards each of the best wrong classes, best first.

    Each class is tried on the images that still resist; any wrong class is a success. Where there
    are fewer wrong classes than asked for, all are tried. Rows hold as ``rank`` which one led to
    the image, -1 where none did; see also :class:`~project.attacks.DLRTowards`.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020; 100 steps, 9 classes [code]; each class has its own draws.
    """

    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Maximise the ratio towards one class."""
        return self._run(rank).perturb(victim, images, target, index)

    def _run(self, rank: int) -> APGD:
        seed = derived_seed(self.seed, self.name, rank)
        return APGD(self.eps, self.steps, self.norm, DLRTowards(rank), seed=seed)

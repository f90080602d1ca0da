"""SEA, the segmentation ensemble attack: Auto-PGD on several losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from project.attacks.combined.best_of import BestOf
from project.attacks.core.attack import Attack
from project.attacks.core.result import Perturbed
from project.attacks.gradient.objectives import (
    BalancedCrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
    Objective,
)
from project.attacks.noise.apgd import APGD
from project.threat_models import Norm

SHRINKING = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
"""Phases of Auto-PGD, (radius / eps, share of the steps): larger balls first, then the budget's."""


@dataclass(frozen=True)
class SEA(Attack):
    """For each image the worst of several Auto-PGD runs, one for each of complementary losses.

    Each run starts in a ball of radius 2ε, goes on in 1.5ε and ends in ε; see
    :class:`~project.attacks.APGD`. Each image takes the result whose 8-bit image fools the largest
    share of its valid pixels and, among equals, the closest. Rows hold the loss as ``choice``, its
    index in the list.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024; losses, radii, shares and the start at the clean image [code].
    That code also reports a worst case of the mIoU, found by exchanging images of a whole data set;
    here images are worst by their own pixel accuracy only.
    """

    kind = "ensemble"

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, one of the published tables'."""
    steps: int = 300
    """Number of steps of each loss's run, over all its phases; 300, thrice Auto-PGD's 100
    [ours]."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``."""
    objectives: Sequence[Objective] | None = None
    """Objectives, at least two; None is the masked, the balanced cross-entropy and the
    Jensen-Shannon divergence, in this order."""
    random_start: bool = False
    """Whether to start at a random point of the first ball instead of at the clean image."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed from which all random draws derive."""

    def __post_init__(self) -> None:
        _ = self.best_of  # refuses invalid settings

    @property
    def best_of(self) -> BestOf:
        """The runs of Auto-PGD, of which each image takes the worst for the victim."""
        objectives = self.objectives
        if objectives is None:
            objectives = [MaskedCrossEntropy(), BalancedCrossEntropy(), JensenShannon()]
        return BestOf([self._run(objective) for objective in objectives])

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self.best_of

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run Auto-PGD on every loss, and choose for each image."""
        return self.best_of.perturb(victim, images, target, index)

    def _run(self, objective: Objective) -> APGD:
        return APGD(
            self.eps,
            self.steps,
            self.norm,
            objective,
            phases=SHRINKING,
            random_start=self.random_start,
            targeted=self.targeted,
            seed=self.seed,
        )

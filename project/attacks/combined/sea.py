"""SEA, the segmentation ensemble attack."""

from __future__ import annotations

from collections.abc import Sequence

from project.attacks.combined.best_of import BestOf
from project.attacks.gradient.objectives import (
    BalancedCrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
    Objective,
)
from project.attacks.noise.apgd import APGD
from project.threat_models import Norm

SHRINKING = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
"""Phases of Auto-PGD, (radius / eps, share of the steps): easy first, then inside the budget."""


class SEA(BestOf):
    """For each image the worst of several Auto-PGD runs, one for each of complementary losses.

    Each run starts in a ball of radius 2ε, goes on in 1.5ε and ends in ε; see
    :class:`~project.attacks.APGD`. Of the results, as the 8-bit images they are, the one that fools
    the largest share of an image's valid pixels is taken and, among equals, the closest. Rows tell
    the loss as ``choice``, its place in the list.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024; losses, radii, shares and the start at the clean image [code].
    That code also reports a worst case of the mIoU, found by exchanging images of a whole data set;
    here images are worst by their own pixel accuracy only.

    Args:
        eps: budget in units of the [0, 1] range; 8/255, one of the published tables'.
        steps: of each loss's run, over all its phases; 300, thrice Auto-PGD's 100 [ours].
        norm: ``linf`` or ``l2``.
        objectives: at least two; None is the masked, the balanced cross-entropy and the
            Jensen-Shannon divergence, in this order.
        random_start: start at a random place in the first ball.
        targeted: whether the target map is wanted.
        seed: the key of all draws.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        steps: int = 300,
        norm: Norm = "linf",
        objectives: Sequence[Objective] | None = None,
        random_start: bool = False,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        self.eps = eps
        self.steps = steps
        self.norm = norm
        if objectives is None:
            objectives = [MaskedCrossEntropy(), BalancedCrossEntropy(), JensenShannon()]
        self.objectives = objectives
        self.random_start = random_start
        super().__init__([self._run(objective, targeted, seed) for objective in objectives])

    def _run(self, objective: Objective, targeted: bool, seed: int) -> APGD:
        return APGD(
            self.eps,
            self.steps,
            self.norm,
            objective,
            phases=SHRINKING,
            random_start=self.random_start,
            targeted=targeted,
            seed=seed,
        )

"""SEA, the segmentation ensemble attack: Auto-PGD on several losses."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from project.attacks.combined.best_of import BestOf
from project.attacks.core.attack import Attack, Traits, filled_in
from project.attacks.core.result import Perturbed
from project.attacks.gradient.objectives import (
    AdversarialSplit,
    BalancedCrossEntropy,
    JensenShannon,
    MaskedCrossEntropy,
    MaskedNormalisedLogit,
    Objective,
)
from project.attacks.noise.apgd import APGD, Track
from project.core.choices import choose
from project.threat_models import Norm

SHRINKING = ((2.0, 0.3), (1.5, 0.3), (1.0, 0.4))
"""Phases of Auto-PGD, (radius / eps, share of the steps): larger balls first, then the budget's."""


@dataclass(frozen=True)
class SEASettings:
    """The settings that a preset of SEA fixes.

    Attributes:
        objectives: the losses, one run each.
        steps: number of steps of each run.
        track: what decides about step sizes and the best iterate.
        random_start: whether runs start at a random point of the first ball.
    """

    objectives: Sequence[Objective]
    steps: int = 300
    track: Track = "cross_entropy"
    random_start: bool = True


PRESETS = {
    "paper": SEASettings((MaskedCrossEntropy(), BalancedCrossEntropy(), JensenShannon())),
    "released": SEASettings(
        (MaskedCrossEntropy(), AdversarialSplit(), JensenShannon(), MaskedNormalisedLogit())
    ),
}


@dataclass(frozen=True)
class SEA(Attack):
    """For each image the worst of several Auto-PGD runs, one for each of complementary losses.

    Each run starts in a ball of radius 2ε, goes on in 1.5ε and ends in ε; see
    :class:`~project.attacks.APGD`. Each image takes the result whose 8-bit image fools the largest
    share of its valid pixels and, among equals, the closest. Rows hold the loss as ``choice``, its
    index in the list.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024: the radii and preset ``paper``'s three losses [paper]; the
    shares of the steps, 300 steps, the random start, the cross-entropy as what is tracked, and
    preset ``released``'s four losses [code]. That code also reports a worst case of the mIoU, found
    by exchanging images of a whole data set; here images are worst by their own pixel accuracy
    only, and SegPGD's λ counts the start as a step [ours]. Why the cross-entropy is tracked, and
    why the plain one is not among the losses: ``docs/robustness.md``.
    """

    kind = "ensemble"
    budget_fields = ("eps",)

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, one of the published tables'."""
    steps: int | None = None
    """Number of steps of each loss's run, over all its phases; None is the preset's, 300."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``."""
    objectives: Sequence[Objective] | None = None
    """Objectives, at least two; None is the preset's."""
    random_start: bool | None = None
    """Whether to start at a random point of the first ball instead of at the clean image; None is
    the preset's, which does."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed from which all random draws derive."""
    preset: Literal["paper", "released"] = "paper"
    """Preset: ``paper``, on the masked and the balanced cross-entropy and the Jensen-Shannon
    divergence; ``released``, on the masked one, SegPGD's, Jensen-Shannon and the masked normalised
    logit."""
    track: Track | None = None
    """What decides about step sizes and the best iterate: each ``objective``'s own value, or the
    ``cross_entropy`` whatever the objective; None is the preset's, the latter."""

    def __post_init__(self) -> None:
        _ = self.best_of  # refuses invalid settings

    @property
    def settings(self) -> SEASettings:
        """The preset's settings, overridden by the fields that are not None."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    @property
    def best_of(self) -> BestOf:
        """The runs of Auto-PGD, of which each image takes the worst for the victim."""
        return BestOf([self._run(objective) for objective in self.settings.objectives])

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self.best_of

    def traits(self) -> Traits:
        """Describe the attack, with the number of steps of its preset."""
        return super().traits() | {"steps": self.settings.steps}

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run Auto-PGD on every loss, and choose for each image."""
        return self.best_of.perturb(victim, images, target, index)

    def _run(self, objective: Objective) -> APGD:
        settings = self.settings
        return APGD(
            self.eps,
            settings.steps,
            self.norm,
            objective,
            phases=SHRINKING,
            random_start=settings.random_start,
            targeted=self.targeted,
            seed=self.seed,
            track=settings.track,
        )

"""AutoAttack: the ensemble of Auto-PGD, targeted Auto-PGD, FAB and Square."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from project.attacks.combined.cascade import Cascade
from project.attacks.core.attack import Attack, Traits, filled_in
from project.attacks.core.result import Perturbed
from project.attacks.noise.apgd import APGD
from project.attacks.noise.fab import FAB, require_labels
from project.attacks.noise.square import Square
from project.attacks.noise.targeted_apgd import TargetedAPGD
from project.core.choices import choose
from project.threat_models import Norm


@dataclass(frozen=True)
class AutoAttackBudget:
    """The steps and queries that a version of AutoAttack spends.

    Attributes:
        steps: steps of Auto-PGD, and of Auto-PGD and FAB for each wrong class.
        classes: largest number of wrong classes.
        queries: queries of Square.
    """

    steps: int
    classes: int
    queries: int


VERSIONS = {"standard": AutoAttackBudget(100, 9, 5000), "fast": AutoAttackBudget(20, 3, 300)}


@dataclass(frozen=True)
class AutoAttack(Attack):
    """Auto-PGD, Auto-PGD and FAB towards wrong classes, and Square: each on what still resists.

    Nothing needs tuning, so its robust accuracy can be compared between victims. Rows hold as
    ``member`` which attack fooled an image: 0 :class:`~project.attacks.APGD` on the cross-entropy,
    1 :class:`~project.attacks.TargetedAPGD`, 2 :class:`~project.attacks.FAB`,
    3 :class:`~project.attacks.Square`, -1 none.

    For classifiers; the ensemble for segmenters is :class:`~project.attacks.SEA`.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, version ``standard`` [code]; version ``fast`` is [ours].
    """

    kind = "ensemble"
    budget_fields = ("eps",)
    targeted = False

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, the field's usual one."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or
    more)."""
    version: Literal["standard", "fast"] = "standard"
    """Version: ``standard``, 100 steps, 9 wrong classes, 5000 queries; ``fast``, 20, 3 and 300, to
    try a victim during its development, not to report."""
    steps: int | None = None
    """Steps of Auto-PGD, and of Auto-PGD and FAB for each class; None is the version's."""
    classes: int | None = None
    """Largest number of wrong classes; None is the version's."""
    queries: int | None = None
    """Number of queries of Square; None is the version's."""
    seed: int = 0
    """Seed from which all random draws derive."""

    def __post_init__(self) -> None:
        _ = self.cascade  # refuses invalid settings

    @property
    def budget(self) -> AutoAttackBudget:
        """The version's budget, overridden by the fields that are not None."""
        return filled_in(choose("version", VERSIONS, self.version), self)

    @property
    def cascade(self) -> Cascade:
        """The four attacks, each on the images that the ones before could not fool."""
        budget = self.budget
        steps, classes, queries = budget.steps, budget.classes, budget.queries
        return Cascade(
            [
                APGD(self.eps, steps, self.norm, seed=self.seed),
                TargetedAPGD(self.eps, steps, self.norm, classes, self.seed),
                FAB(self.eps, steps, self.norm, classes, self.seed),
                Square(self.eps, queries, self.norm, seed=self.seed),
            ]
        )

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return self.cascade

    def traits(self) -> Traits:
        """Describe the attack, with the number of steps of its version."""
        return super().traits() | {"steps": self.budget.steps}

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all four attacks in turn."""
        require_labels(target, self.name)
        return self.cascade.perturb(victim, images, target, index)

"""AutoAttack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Self

from torch import Tensor, nn

from project.attacks.combined.cascade import Cascade
from project.attacks.core.attack import Perturbed
from project.attacks.noise.apgd import APGD
from project.attacks.noise.fab import FAB, require_labels
from project.attacks.noise.square import Square
from project.attacks.noise.targeted_apgd import TargetedAPGD
from project.core.errors import InputError
from project.threat_models import Norm


@dataclass(frozen=True)
class Version:
    """How much AutoAttack spends.

    Attributes:
        steps: of Auto-PGD, and of Auto-PGD and FAB for each wrong class.
        classes: how many wrong classes at most.
        queries: of Square.
    """

    steps: int
    classes: int
    queries: int


VERSIONS = {"standard": Version(100, 9, 5000), "fast": Version(20, 3, 300)}


class AutoAttack(Cascade):
    """Auto-PGD, Auto-PGD and FAB towards wrong classes, and Square: each on what still resists.

    Nothing needs tuning, so its robust accuracy can be compared between victims. Rows tell as
    ``member`` who fooled an image: 0 :class:`~project.attacks.APGD` on the cross-entropy,
    1 :class:`~project.attacks.TargetedAPGD`, 2 :class:`~project.attacks.FAB`,
    3 :class:`~project.attacks.Square`, -1 none.

    For classifiers; the ensemble for segmenters is :class:`~project.attacks.SEA`.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, version ``standard`` [code]; version ``fast`` is [ours].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        version: ``standard``: 100 steps, 9 wrong classes, 5000 queries; ``fast``: 20, 3 and 300,
            to look at a victim while it is being made, not to report.
        steps: of Auto-PGD, and of Auto-PGD and FAB for each class; None is the version's.
        classes: how many wrong classes at most; None is the version's.
        queries: of Square; None is the version's.
        seed: the key of all draws.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        norm: Norm = "linf",
        version: Literal["standard", "fast"] = "standard",
        steps: int | None = None,
        classes: int | None = None,
        queries: int | None = None,
        seed: int = 0,
    ) -> None:
        if version not in VERSIONS:
            raise InputError(f"version must be one of {', '.join(VERSIONS)}, got {version!r}.")
        chosen = VERSIONS[version]
        self.eps = eps
        self.norm = norm
        self.version = version
        self.steps = chosen.steps if steps is None else steps
        self.classes = chosen.classes if classes is None else classes
        self.queries = chosen.queries if queries is None else queries
        super().__init__(
            [
                APGD(eps, self.steps, norm, seed=seed),
                TargetedAPGD(eps, self.steps, norm, self.classes, seed),
                FAB(eps, self.steps, norm, self.classes, seed),
                Square(eps, self.queries, norm, seed=seed),
            ]
        )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Let the images face all members."""
        require_labels(target, self.name)
        return super().perturb(victim, images, target, index)

    def scaled(self, factor: float) -> Self:
        """Return it with members of ``factor`` times the budget."""
        scaled = super().scaled(factor)
        scaled.eps = factor * self.eps
        return scaled

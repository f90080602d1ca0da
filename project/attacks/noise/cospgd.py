"""CosPGD."""

from __future__ import annotations

from collections.abc import Sequence

from project.attacks.gradient.attack import GradientAttack
from project.attacks.gradient.objectives import CosineWeighted
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm, norm_ball


class CosPGD(GradientAttack):
    """PGD that weighs each pixel by how closely its prediction points at the label.

    The objective is :class:`~project.attacks.CosineWeighted`, which gives the formula.

    Source: Agnihotri et al., "CosPGD: an efficient white-box adversarial attack for pixel-wise
    prediction tasks", ICML 2024 [paper].

    Args:
        eps: budget in units of the [0, 1] range; 8/255 to compare with PGD (its code: 0.03).
        step_size: α in the same units (its code: 0.01).
        steps: T.
        step_schedule: how the step size changes over a run.
        random_start: start at a random place in the ball.
        norm: ``linf`` or ``l2``.
        rules: applied to each gradient, for example momentum.
        transforms: what the victim is shown instead of the images, for example diverse views.
        targeted: whether the target map is wanted.
        seed: the key of all draws.
        early_stop: let each image leave at its first success, which transfers worse; see
            :class:`~project.attacks.GradientAttack`.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float = 2 / 255,
        steps: int = 20,
        step_schedule: StepSchedule = "constant",
        random_start: bool = True,
        norm: Norm = "linf",
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        targeted: bool = False,
        seed: int = 0,
        early_stop: bool = False,
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            CosineWeighted(),
            step_size,
            steps,
            step_schedule,
            rules=rules,
            transforms=transforms,
            random_start=random_start,
            targeted=targeted,
            seed=seed,
            early_stop=early_stop,
        )
        self.eps = eps
        self.norm = norm

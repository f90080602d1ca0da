"""TranSegPGD."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from project.attacks.gradient import GradientAttack
from project.attacks.objectives import Divergence, HardWeight, TwoStage
from project.attacks.rules import GradientRule
from project.attacks.schedules import StepSchedule
from project.attacks.transforms import InputTransform
from project.threat_models import Norm, norm_ball


class TranSegPGD(GradientAttack):
    """Two-stage PGD whose adversarial examples transfer between segmentation models.

    The objective is :class:`~project.attacks.objectives.TwoStage`, which gives the formulas.

    Source: Jia et al., "TranSegPGD: Improving Transferability of Adversarial Examples on Semantic
    Segmentation", arXiv 2312.02207 [paper]; marks of the single choices there.

    Args:
        eps: budget in units of the [0, 1] range.
        step_size: α in the same units.
        steps: T.
        gamma: weight of the pixels that stage 1 does not emphasise, in [0, 1].
        beta: weight of the pixels that stage 2 does not emphasise, in [0, 1].
        stage_switch: share of the steps that stage 1 takes, or ``all_fooled``.
        step_schedule: the dynamic step size; ``uniform`` until an ablation decides [ours].
        hard_weight: which pixels stage 1 emphasises, ``correct`` or ``wrong``.
        divergence: what stage 2 splits by, KL(adversarial ‖ clean) or the reverse.
        random_start: start at a random place in the ball.
        norm: ``linf`` or ``l2``.
        rules: applied to each gradient, for example momentum.
        transforms: what the victim is shown instead of the images, for example diverse views.
        targeted: whether the target map is wanted.
        seed: the key of all draws.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float = 2 / 255,
        steps: int = 20,
        gamma: float = 0.1,
        beta: float = 0.1,
        stage_switch: float | Literal["all_fooled"] = 0.5,
        step_schedule: StepSchedule = "uniform",
        hard_weight: HardWeight = "correct",
        divergence: Divergence = "adversarial_clean",
        random_start: bool = True,
        norm: Norm = "linf",
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            TwoStage(gamma, beta, stage_switch, hard_weight, divergence),
            step_size,
            steps,
            step_schedule,
            rules=rules,
            transforms=transforms,
            random_start=random_start,
            targeted=targeted,
            seed=seed,
        )
        self.eps = eps
        self.gamma = gamma
        self.beta = beta
        self.stage_switch = stage_switch
        self.hard_weight = hard_weight
        self.divergence = divergence
        self.norm = norm

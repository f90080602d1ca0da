"""TranSegPGD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from project.attacks.core.attack import chosen_preset
from project.attacks.gradient.attack import GradientAttack
from project.attacks.gradient.objectives import Divergence, HardWeight, TwoStage
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm, norm_ball


@dataclass(frozen=True)
class Preset:
    """What TranSegPGD leaves open; see :class:`TranSegPGD` for each."""

    gamma: float
    beta: float
    stage_switch: float | Literal["all_fooled"]
    step_schedule: StepSchedule
    hard_weight: HardWeight
    divergence: Divergence


PRESETS = {
    "paper": Preset(0.1, 0.1, 0.5, "uniform", "correct", "adversarial_clean"),
    "tuned": Preset(0.5, 0.7, 0.5, "cosine", "correct", "adversarial_clean"),
}


class TranSegPGD(GradientAttack):
    """Two-stage PGD whose adversarial examples transfer between segmentation models.

    The objective is :class:`~project.attacks.TwoStage`, which gives the formulas.

    Source: Jia et al., "TranSegPGD: Improving Transferability of Adversarial Examples on Semantic
    Segmentation", arXiv 2312.02207 [paper]; marks of the single choices there.

    Args:
        eps: budget in units of the [0, 1] range.
        step_size: α in the same units.
        steps: T.
        gamma: weight of the pixels that stage 1 does not emphasise, in [0, 1]; None, here and
            below, is the preset's.
        beta: weight of the pixels that stage 2 does not emphasise, in [0, 1].
        stage_switch: share of the steps that stage 1 takes, or ``all_fooled``.
        step_schedule: the dynamic step size.
        hard_weight: which pixels stage 1 emphasises, ``correct`` or ``wrong``.
        divergence: what stage 2 splits by, KL(adversarial ‖ clean) or the reverse.
        random_start: start at a random place in the ball.
        norm: ``linf`` or ``l2``.
        rules: applied to each gradient, for example momentum.
        transforms: what the victim is shown instead of the images, for example diverse views.
        targeted: whether the target map is wanted.
        seed: the key of all draws.
        early_stop: let each image leave at its first success, which transfers worse; see
            :class:`~project.attacks.GradientAttack`.
        preset: ``paper``, or ``tuned``, which came out ahead in ``docs/transfer.md``; with momentum
            gamma 0.3, beta 0.5 and a constant step are better.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float = 2 / 255,
        steps: int = 20,
        gamma: float | None = None,
        beta: float | None = None,
        stage_switch: float | Literal["all_fooled"] | None = None,
        step_schedule: StepSchedule | None = None,
        hard_weight: HardWeight | None = None,
        divergence: Divergence | None = None,
        random_start: bool = True,
        norm: Norm = "linf",
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        targeted: bool = False,
        seed: int = 0,
        early_stop: bool = False,
        preset: Literal["paper", "tuned"] = "paper",
    ) -> None:
        chosen = chosen_preset(PRESETS, preset)
        objective = TwoStage(
            chosen.gamma if gamma is None else gamma,
            chosen.beta if beta is None else beta,
            chosen.stage_switch if stage_switch is None else stage_switch,
            chosen.hard_weight if hard_weight is None else hard_weight,
            chosen.divergence if divergence is None else divergence,
        )
        super().__init__(
            norm_ball(norm, eps),
            objective,
            step_size,
            steps,
            chosen.step_schedule if step_schedule is None else step_schedule,
            rules=rules,
            transforms=transforms,
            random_start=random_start,
            targeted=targeted,
            seed=seed,
            early_stop=early_stop,
        )
        self.eps = eps
        self.preset = preset
        self.gamma = objective.gamma
        self.beta = objective.beta
        self.stage_switch = objective.stage_switch
        self.hard_weight = objective.hard_weight
        self.divergence = objective.divergence
        self.norm = norm

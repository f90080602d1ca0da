"""TranSegPGD."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from project.attacks.core.attack import filled_in
from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import Divergence, HardWeight, TwoStage
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.core.choices import choose
from project.threat_models import Norm


@dataclass(frozen=True)
class TranSegPGDSettings:
    """What TranSegPGD leaves open; see :class:`TranSegPGD` for each."""

    gamma: float
    beta: float
    stage_switch: float | Literal["all_fooled"]
    step_schedule: StepSchedule
    hard_weight: HardWeight
    divergence: Divergence


PRESETS = {
    "paper": TranSegPGDSettings(0.1, 0.1, 0.5, "uniform", "correct", "adversarial_clean"),
    "tuned": TranSegPGDSettings(0.5, 0.7, 0.5, "cosine", "correct", "adversarial_clean"),
}


@dataclass(frozen=True)
class TranSegPGD(GradientRecipe):
    """Two-stage PGD whose adversarial examples transfer between segmentation models.

    The objective is :class:`~project.attacks.TwoStage`, which gives the formulas.

    Source: Jia et al., "TranSegPGD: Improving Transferability of Adversarial Examples on Semantic
    Segmentation", arXiv 2312.02207 [paper]; marks of the single choices there.
    """

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range."""
    step_size: float = 2 / 255
    """α in the same units."""
    steps: int = 20
    """T."""
    gamma: float | None = None
    """Weight of the pixels that stage 1 does not emphasise, in [0, 1]; None, here and below, is the
    preset's."""
    beta: float | None = None
    """Weight of the pixels that stage 2 does not emphasise, in [0, 1]."""
    stage_switch: float | Literal["all_fooled"] | None = None
    """Share of the steps that stage 1 takes, or ``all_fooled``."""
    step_schedule: StepSchedule | None = None
    """The dynamic step size."""
    hard_weight: HardWeight | None = None
    """Which pixels stage 1 emphasises, ``correct`` or ``wrong``."""
    divergence: Divergence | None = None
    """What stage 2 splits by, KL(adversarial ‖ clean) or the reverse."""
    random_start: bool = True
    """Start at a random place in the ball."""
    norm: Norm = "linf"
    """``linf`` or ``l2``."""
    rules: Sequence[GradientRule] = ()
    """Applied to each gradient, for example momentum."""
    transforms: Sequence[InputTransform] = ()
    """What the victim is shown instead of the images, for example diverse views."""
    targeted: bool = False
    """Whether the target map is wanted."""
    seed: int = 0
    """The key of all draws."""
    early_stop: bool = False
    """Let each image leave at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""
    preset: Literal["paper", "tuned"] = "paper"
    """``paper``, or ``tuned``, which came out ahead in ``docs/transfer.md``; with momentum gamma
    0.3, beta 0.5 and a constant step are better."""

    @property
    def settings(self) -> TranSegPGDSettings:
        """The preset's settings, or what is given instead."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    def built(self) -> GradientAttack:
        """Return the parts."""
        chosen = self.settings
        objective = TwoStage(
            chosen.gamma,
            chosen.beta,
            chosen.stage_switch,
            chosen.hard_weight,
            chosen.divergence,
        )
        return self.with_parts(objective, step_schedule=chosen.step_schedule)

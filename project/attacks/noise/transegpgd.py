"""TranSegPGD: PGD in two stages, for adversarial examples that transfer between segmenters."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from project.attacks.core.attack import filled_in
from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import Divergence, HardWeight, TwoStage
from project.attacks.gradient.rules import GradientRule, Momentum
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import BlockShuffle, InputTransform
from project.core.choices import choose
from project.threat_models import Norm


@dataclass(frozen=True)
class TranSegPGDSettings:
    """The settings that a preset of TranSegPGD fixes; see :class:`TranSegPGD` for each."""

    gamma: float
    beta: float
    stage_switch: float | Literal["all_fooled"]
    step_schedule: StepSchedule
    hard_weight: HardWeight
    divergence: Divergence
    rules: Sequence[GradientRule] = ()
    transforms: Sequence[InputTransform] = ()


PRESETS = {
    "paper": TranSegPGDSettings(0.1, 0.1, 0.5, "uniform", "correct", "adversarial_clean"),
    "tuned": TranSegPGDSettings(0.5, 0.7, 0.5, "cosine", "correct", "adversarial_clean"),
    "transfer": TranSegPGDSettings(
        *(0.5, 0.7, 0.5, "constant", "correct", "adversarial_clean"),
        rules=(Momentum(),),
        transforms=(BlockShuffle(),),
    ),
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
    """Step size α, in the same units as eps."""
    steps: int = 20
    """Number of steps T."""
    gamma: float | None = None
    """Weight γ of the pixels that stage 1 does not emphasise, in [0, 1]; None, here and below, is
    the preset's."""
    beta: float | None = None
    """Weight β of the pixels that stage 2 does not emphasise, in [0, 1]."""
    stage_switch: float | Literal["all_fooled"] | None = None
    """Share of the steps that stage 1 takes, or ``all_fooled``."""
    step_schedule: StepSchedule | None = None
    """Schedule of the dynamic step size."""
    hard_weight: HardWeight | None = None
    """Which pixels stage 1 emphasises, ``correct`` or ``wrong``."""
    divergence: Divergence | None = None
    """Divergence by which stage 2 splits the pixels, KL(adversarial ‖ clean) or the reverse."""
    random_start: bool = True
    """Whether to start at a random point of the ball instead of at the clean image."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``."""
    rules: Sequence[GradientRule] | None = None
    """Gradient rules, applied to each gradient in this order; none, or with preset ``transfer``
    momentum."""
    transforms: Sequence[InputTransform] | None = None
    """Input transforms: the victim sees their views, not the images; none, or with preset
    ``transfer`` block shuffles."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""
    preset: Literal["paper", "tuned", "transfer"] = "paper"
    """Preset: ``paper``; ``tuned``, which came out ahead without further parts; or ``transfer``,
    both stages on views that move pixels and labels, with momentum, which transfers far better. All
    in ``docs/transfer.md``."""

    @property
    def settings(self) -> TranSegPGDSettings:
        """The preset's settings, overridden by the fields that are not None."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        chosen = self.settings
        objective = TwoStage(
            chosen.gamma,
            chosen.beta,
            chosen.stage_switch,
            chosen.hard_weight,
            chosen.divergence,
        )
        return self.with_parts(
            objective,
            step_schedule=chosen.step_schedule,
            rules=chosen.rules,
            transforms=chosen.transforms,
        )

"""CosPGD."""

from collections.abc import Sequence
from dataclasses import dataclass

from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import CosineWeighted
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm


@dataclass(frozen=True)
class CosPGD(GradientRecipe):
    """PGD that weighs each pixel by how closely its prediction points at the label.

    The objective is :class:`~project.attacks.CosineWeighted`, which gives the formula.

    Source: Agnihotri et al., "CosPGD: an efficient white-box adversarial attack for pixel-wise
    prediction tasks", ICML 2024 [paper].
    """

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255 to compare with PGD (its code: 0.03)."""
    step_size: float = 2 / 255
    """α in the same units (its code: 0.01)."""
    steps: int = 20
    """T."""
    step_schedule: StepSchedule = "constant"
    """How the step size changes over a run."""
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

    def built(self) -> GradientAttack:
        """Return the parts."""
        return self.with_parts(CosineWeighted())

"""SegPGD."""

from collections.abc import Sequence
from dataclasses import dataclass

from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import AdversarialSplit
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm


@dataclass(frozen=True)
class SegPGD(GradientRecipe):
    """PGD that first pushes the pixels still correct, then more and more the wrong ones too.

    Source: Gu et al., "SegPGD: An Effective and Efficient Adversarial Attack for Evaluating and
    Boosting Segmentation Robustness", ECCV 2022, algorithm 1 [paper].
    """

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255 to compare with PGD (the paper: 0.03)."""
    step_size: float = 2 / 255
    """α in the same units (the paper: 0.01)."""
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
        return self.with_parts(AdversarialSplit())

"""SegPGD: PGD that weighs pixels by whether they are fooled yet."""

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
    """Step size α, in the same units as eps (the paper: 0.01)."""
    steps: int = 20
    """Number of steps T."""
    step_schedule: StepSchedule = "constant"
    """Schedule of the step size over a run."""
    random_start: bool = True
    """Whether to start at a random point of the ball instead of at the clean image."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``."""
    rules: Sequence[GradientRule] = ()
    """Gradient rules, applied to each gradient in this order, for example momentum."""
    transforms: Sequence[InputTransform] = ()
    """Input transforms, such as diverse inputs: the victim sees their views, not the images."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target map."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        return self.with_parts(AdversarialSplit())

"""CosPGD: PGD on a cross-entropy weighted by the cosine of prediction and label."""

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
    """Step size α, in the same units as eps (its code: 0.01)."""
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
        return self.with_parts(CosineWeighted())

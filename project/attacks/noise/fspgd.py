"""FSPGD: PGD on the similarity of inner features."""

from collections.abc import Sequence
from dataclasses import dataclass

from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import FeatureSimilarity
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm


@dataclass(frozen=True)
class FSPGD(GradientRecipe):
    """PGD on the features inside the source, which transfers where logits do not.

    The objective is :class:`~project.attacks.FeatureSimilarity`, which gives the formula. There is
    no targeted form: labels are not used.

    Source: Park et al., "FSPGD: Rethinking Black-box Attacks on Semantic Segmentation", CVPR
    2025, arXiv 2502.01262 [code].
    """

    targeted = False

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255 to compare with PGD (its code: 0.03)."""
    step_size: float = 2 / 255
    """Step size α, in the same units as eps (its code: 0.01)."""
    steps: int = 20
    """Number of steps T."""
    layer: str = "network.encoder[-2]"
    """Layer whose output gives the features, such as ``network.encoder[-2]`` (the default; the last
    but one stage of smp's victims) or ``network.layer3`` (of a classifying ResNet)."""
    threshold: float = 0.5
    """Cosine above which the features of two places of the clean image are similar; cos(π/3)."""
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
    seed: int = 0
    """Seed from which all random draws derive."""

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        return self.with_parts(FeatureSimilarity(self.layer, self.threshold))

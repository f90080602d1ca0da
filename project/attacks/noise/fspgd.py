"""FSPGD."""

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

    The objective is :class:`~project.attacks.FeatureSimilarity`, which gives the
    formula. There is no targeted form: labels are not looked at.

    Source: Park et al., "FSPGD: Rethinking Black-box Attacks on Semantic Segmentation", CVPR
    2025, arXiv 2502.01262 [code].
    """

    targeted = False

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255 to compare with PGD (its code: 0.03)."""
    step_size: float = 2 / 255
    """α in the same units (its code: 0.01)."""
    steps: int = 20
    """T."""
    layer: str = "network.encoder[-2]"
    """Whose output is looked at, such as ``network.encoder[-2]`` (the default; of smp's victims the
    last but one stage) or ``network.layer3`` (of a classifying ResNet)."""
    threshold: float = 0.5
    """The cosine above which two places of the clean image belong together; cos(π/3)."""
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
    seed: int = 0
    """The key of all draws."""

    def built(self) -> GradientAttack:
        """Return the parts."""
        return self.with_parts(FeatureSimilarity(self.layer, self.threshold))

"""FSPGD."""

from __future__ import annotations

from collections.abc import Sequence

from project.attacks.gradient.attack import GradientAttack
from project.attacks.gradient.objectives import FeatureSimilarity
from project.attacks.gradient.rules import GradientRule
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm, norm_ball


class FSPGD(GradientAttack):
    """PGD on the features inside the source, which transfers where logits do not.

    The objective is :class:`~project.attacks.FeatureSimilarity`, which gives the
    formula. There is no targeted form: labels are not looked at.

    Source: Park et al., "FSPGD: Rethinking Black-box Attacks on Semantic Segmentation", CVPR
    2025, arXiv 2502.01262 [code].

    Args:
        eps: budget in units of the [0, 1] range; 8/255 to compare with PGD (its code: 0.03).
        step_size: α in the same units (its code: 0.01).
        steps: T.
        layer: whose output is looked at, such as ``network.encoder[-2]`` (the default; of smp's
            victims the last but one stage) or ``network.layer3`` (of a classifying ResNet).
        threshold: the cosine above which two places of the clean image belong together; cos(π/3).
        step_schedule: how the step size changes over a run.
        random_start: start at a random place in the ball.
        norm: ``linf`` or ``l2``.
        rules: applied to each gradient, for example momentum.
        transforms: what the victim is shown instead of the images, for example diverse views.
        seed: the key of all draws.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float = 2 / 255,
        steps: int = 20,
        layer: str = "network.encoder[-2]",
        threshold: float = 0.5,
        step_schedule: StepSchedule = "constant",
        random_start: bool = True,
        norm: Norm = "linf",
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        seed: int = 0,
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            FeatureSimilarity(layer, threshold),
            step_size,
            steps,
            step_schedule,
            rules=rules,
            transforms=transforms,
            random_start=random_start,
            seed=seed,
        )
        self.eps = eps
        self.layer = layer
        self.threshold = threshold
        self.norm = norm

"""FGSM, PGD and MI-FGSM: the gradient attacks everyone compares with."""

from __future__ import annotations

from collections.abc import Sequence

from project.attacks.gradient.attack import GradientAttack
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.rules import GradientRule, Momentum
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm, norm_ball


class FGSM(GradientAttack):
    """One step of the whole budget along the gradient's sign.

    Source: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015 [paper].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        norm: ``linf``, or ``l2`` for the fast gradient method in that norm.
        targeted: whether the target is wanted.
        seed: the key of all draws (none is made).
    """

    def __init__(
        self, eps: float = 8 / 255, norm: Norm = "linf", targeted: bool = False, seed: int = 0
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            CrossEntropy(),
            step_size=eps,
            steps=1,
            random_start=False,
            targeted=targeted,
            seed=seed,
        )
        self.eps = eps
        self.norm = norm


class PGD(GradientAttack):
    """Projected gradient descent on the mean cross-entropy, for classes and for pixels.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks",
    ICLR 2018 [paper].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        step_size: α in the same units.
        steps: T.
        step_schedule: how the step size changes over a run.
        random_start: start at a random place in the ball.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        objective: what to climb; None is the mean cross-entropy.
        rules: applied to each gradient, for example momentum.
        transforms: what the victim is shown instead of the images, for example diverse views.
        targeted: whether the target is wanted.
        seed: the key of all draws.
        early_stop: let each image leave at its first success, which transfers worse; see
            :class:`~project.attacks.GradientAttack`.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float = 2 / 255,
        steps: int = 10,
        step_schedule: StepSchedule = "constant",
        random_start: bool = True,
        norm: Norm = "linf",
        objective: Objective | None = None,
        rules: Sequence[GradientRule] = (),
        transforms: Sequence[InputTransform] = (),
        targeted: bool = False,
        seed: int = 0,
        early_stop: bool = False,
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            CrossEntropy() if objective is None else objective,
            step_size,
            steps,
            step_schedule,
            rules=rules,
            transforms=transforms,
            random_start=random_start,
            targeted=targeted,
            seed=seed,
            early_stop=early_stop,
        )
        self.eps = eps
        self.norm = norm


class MIFGSM(GradientAttack):
    """Iterative FGSM with momentum, which transfers better.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, algorithm 1
    [paper].

    Args:
        eps: budget in units of the [0, 1] range; 8/255 (the paper attacks with 16/255).
        step_size: α in the same units; None is the paper's eps / steps.
        steps: T, 10 as in the paper.
        decay: μ, 1 as in the paper; 0 is plain iterative FGSM.
        norm: ``linf`` or ``l2``.
        targeted: whether the target is wanted.
        seed: the key of all draws (none is made).
        early_stop: let each image leave at its first success, which transfers worse; see
            :class:`~project.attacks.GradientAttack`.
    """

    def __init__(
        self,
        eps: float = 8 / 255,
        step_size: float | None = None,
        steps: int = 10,
        decay: float = 1.0,
        norm: Norm = "linf",
        targeted: bool = False,
        seed: int = 0,
        early_stop: bool = False,
    ) -> None:
        super().__init__(
            norm_ball(norm, eps),
            CrossEntropy(),
            eps / max(1, steps) if step_size is None else step_size,
            steps,
            rules=[Momentum(decay)],
            random_start=False,
            targeted=targeted,
            seed=seed,
            early_stop=early_stop,
        )
        self.eps = eps
        self.decay = decay
        self.norm = norm

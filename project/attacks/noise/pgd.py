"""FGSM, PGD and MI-FGSM, the standard gradient attacks."""

from collections.abc import Sequence
from dataclasses import dataclass

from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.rules import GradientRule, Momentum
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.threat_models import Norm


@dataclass(frozen=True)
class FGSM(GradientRecipe):
    """One step of the whole budget along the gradient's sign.

    Source: Goodfellow et al., "Explaining and Harnessing Adversarial Examples", ICLR 2015 [paper].
    """

    budget_fields = ("eps",)
    steps = 1

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, the field's usual one."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf``, or ``l2`` for the fast gradient method in that norm."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def built(self) -> GradientAttack:
        """Return the gradient attack: one step as long as the budget, from the clean image."""
        return self.with_parts(CrossEntropy(), step_size=self.eps, steps=1, random_start=False)


@dataclass(frozen=True)
class PGD(GradientRecipe):
    """Projected gradient descent on the mean cross-entropy, for classes and for pixels.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks",
    ICLR 2018 [paper].
    """

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255, the field's usual one."""
    step_size: float = 2 / 255
    """Step size α, in the same units as eps."""
    steps: int = 10
    """Number of steps T."""
    step_schedule: StepSchedule = "constant"
    """Schedule of the step size over a run."""
    random_start: bool = True
    """Whether to start at a random point of the ball instead of at the clean image."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or
    more)."""
    objective: Objective | None = None
    """Objective to maximise; None is the mean cross-entropy."""
    rules: Sequence[GradientRule] = ()
    """Gradient rules, applied to each gradient in this order, for example momentum."""
    transforms: Sequence[InputTransform] = ()
    """Input transforms, such as diverse inputs: the victim sees their views, not the images."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        return self.with_parts(self.objective or CrossEntropy())


@dataclass(frozen=True)
class MIFGSM(GradientRecipe):
    """Iterative FGSM with momentum, which transfers better.

    Source: Dong et al., "Boosting Adversarial Attacks with Momentum", CVPR 2018, algorithm 1
    [paper].
    """

    eps: float = 8 / 255
    """Budget in units of the [0, 1] range; 8/255 (the paper attacks with 16/255)."""
    step_size: float | None = None
    """Step size α, in the same units as eps; None is the paper's eps / steps."""
    steps: int = 10
    """Number of steps T, 10 as in the paper."""
    decay: float = 1.0
    """Decay μ of the momentum, 1 as in the paper; 0 is plain iterative FGSM."""
    norm: Norm = "linf"
    """Norm of the ball, ``linf`` or ``l2``."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        step_size = self.eps / max(1, self.steps) if self.step_size is None else self.step_size
        rules = [Momentum(self.decay)]
        return self.with_parts(CrossEntropy(), step_size=step_size, rules=rules, random_start=False)

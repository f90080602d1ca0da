"""Mirage: a little flow and a little noise where they count most, on views, which transfer."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from project.attacks.core.result import Perturbed, measured
from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.rules import GradientRule, Momentum, TopPixels
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import BlockShuffle, InputTransform
from project.threat_models import FlowAndNoise


@dataclass(frozen=True)
class Mirage(GradientRecipe):
    """Flow and noise at once, where they do most, on views: little to see, and it transfers.

    Two things that were found make it: metrics of what is visible grow faster than a perturbation
    does, while what two small ones of different kinds do to a network adds up; and most of what a
    step by the sign does happens at a quarter of the pixels. So both budgets are small, and each
    step goes only where the gradient, in parts of the budgets, is largest. Momentum and views that
    shuffle the image carry it to other networks. ``docs/frontier.md`` has the figures.

    Source: [ours]; flows from Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018,
    momentum from Dong et al., CVPR 2018, views from Wang et al., CVPR 2024 [paper].
    """

    kind = "flow"
    budget_fields = ("max_shift", "eps")

    max_shift: float = 0.4
    """Budget ξ of the flow, the largest displacement along an axis in pixels."""
    eps: float = 5 / 255
    """Budget ε of the noise, in units of the [0, 1] range."""
    step_size: float | None = None
    """Step size α in parts of both budgets; None is 2.5 / steps."""
    steps: int = 10
    """Number of steps T."""
    step_schedule: StepSchedule = "constant"
    """Schedule of the step size over a run."""
    random_start: bool = False
    """Whether to start at a random flow and noise of the budgets instead of at none."""
    objective: Objective | None = None
    """Objective to maximise; None is the mean cross-entropy."""
    rules: Sequence[GradientRule] | None = None
    """Gradient rules, applied to each gradient in this order; None is momentum, then the strongest
    quarter of the pixels."""
    transforms: Sequence[InputTransform] | None = None
    """Input transforms: the victim sees their views, not the images; None is block shuffles with
    rotations of up to 24°."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""

    @property
    def carrier(self) -> FlowAndNoise:
        """The threat model: both budgets."""
        return FlowAndNoise(self.max_shift, self.eps)

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe."""
        step_size = 2.5 / max(1, self.steps) if self.step_size is None else self.step_size
        rules = (Momentum(), TopPixels()) if self.rules is None else self.rules
        views = (BlockShuffle(rotation=24.0),) if self.transforms is None else self.transforms
        return self.with_parts(
            self.objective or CrossEntropy(),
            threat_model=self.carrier,
            step_size=step_size,
            rules=rules,
            transforms=views,
        )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps, and measure the flows."""
        return measured(super().perturb(victim, images, target, index))

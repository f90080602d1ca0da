"""FlowPGD: the loop of gradient attacks on flows, which transfer where they see many views."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor, nn

from project.attacks.core.result import Perturbed, measured
from project.attacks.flow.growing import Growing
from project.attacks.flow.masks import lifted
from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import CrossEntropy, Objective
from project.attacks.gradient.rules import GradientRule, Momentum
from project.attacks.gradient.schedules import StepSchedule
from project.attacks.gradient.transforms import InputTransform
from project.core.errors import InputError
from project.core.randomness import Draws
from project.core.samples import Samples
from project.saliency.provider import Saliency, SaliencyFunction, Scene, saliency_maps
from project.threat_models import ChromaFlow, Flow, Masked

# SSTA's profile "paper" over its 250 steps: 250, 240 … 130 and ½ px to 2 px, each for 20 steps.
_FIRST, _FALL, _GROWTHS = 250, 10, 12
_FIRST_SHARE = 0.25


@dataclass(frozen=True)
class FlowPGD(GradientRecipe):
    r"""Projected gradient ascent on a flow: $$f \leftarrow clip(f + \alpha\, s(g_t), \pm \xi)$$.

    Flow attacks of the literature stop where the network that they were made on is just fooled, and
    hardly any other is. This one spends all its steps inside its budget, with the parts that make
    noise transfer: momentum, views, ensembles. The direction s is the gradient's sign, or the
    smoothed gradient over its largest value.

    With ``saliency`` the flow stays inside a mask that grows, and its budget rises, as those of
    :class:`~project.attacks.SSTA` do over 250 steps, here over all of them.

    Source: [ours]; flows as perturbations from Xiao et al., "Spatially Transformed Adversarial
    Examples", ICLR 2018 [paper].
    """

    kind = "flow"
    budget_fields = ("max_shift", "step_size")

    max_shift: float = 0.5
    """Budget ξ, the largest displacement along an axis in pixels."""
    step_size: float | None = None
    """Step size α in pixels; None is 2.5 · max_shift / steps."""
    steps: int = 10
    """Number of steps T."""
    step_schedule: StepSchedule = "constant"
    """Schedule of the step size over a run."""
    smooth: float = 0.0
    """σ in pixels of the Gaussian that smooths every step, so that neighbours move alike; 0 lets
    each pixel move on its own."""
    colour: bool = False
    """Whether only the colours move (U and V), as in Chroma-Shift, and the luma stays."""
    saliency: Saliency | SaliencyFunction | None = None
    """Saliency provider, or any callable from images (N, 3, H, W) to maps (N, 1, H, W) in [0, 1],
    inside whose growing mask the flow stays; None is everywhere, with the whole budget at once."""
    min_area: float = 0.05
    """Least share of the image in the mask, in [0, 1], counted only with ``saliency``."""
    random_start: bool = False
    """Whether to start at a random flow of the budget instead of at none."""
    objective: Objective | None = None
    """Objective to maximise; None is the mean cross-entropy."""
    rules: Sequence[GradientRule] | None = None
    """Gradient rules, applied to each gradient in this order; None is momentum."""
    transforms: Sequence[InputTransform] = ()
    """Input transforms: the victim sees their views, not the images."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which all random draws derive."""
    early_stop: bool = False
    """Whether to stop each image at its first success, which transfers worse; see
    :class:`~project.attacks.GradientAttack`."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_area <= 1:
            raise InputError(f"min_area must lie in [0, 1], got {self.min_area}.")
        super().__post_init__()

    @property
    def carrier(self) -> Flow:
        """The threat model without a mask."""
        kind = ChromaFlow if self.colour else Flow
        return kind(self.max_shift, self.smooth)

    def built(self) -> GradientAttack:
        """Return the gradient attack that the fields describe, everywhere in the image."""
        step_size = self.step_size
        if step_size is None:
            step_size = 2.5 * self.max_shift / max(1, self.steps)
        return self.with_parts(
            self.objective or CrossEntropy(),
            threat_model=self.carrier,
            step_size=step_size,
            rules=(Momentum(),) if self.rules is None else self.rules,
        )

    def attach(self, samples: Samples) -> None:
        """Give the transforms and the saliency provider access to the samples."""
        super().attach(samples)
        if isinstance(self.saliency, Saliency):
            self.saliency.attach(samples)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps, and measure the flows."""
        if self.saliency is None:
            return self._climbed(self._attack, victim, images, target, index)
        maps = saliency_maps(self.saliency, images, Scene(victim, target, index))
        return self.perturb_inside(lifted(maps, self.min_area), victim, images, target, index)

    def perturb_inside(
        self, maps: Tensor, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all steps inside the growing mask of saliency maps (N, 1, H, W) in [0, 1]."""
        space = self._inside(maps)
        inside = replace(self._attack, threat_model=space)
        found = self._climbed(inside, victim, images, target, index)
        area = space.mask.double().mean((1, 2, 3))
        return replace(
            found,
            facts=found.facts | {"mask_area": area},
            mask=space.mask,
            threat_model=Masked(self.carrier, space.mask),
        )

    def _climbed(
        self,
        attack: GradientAttack,
        victim: nn.Module,
        images: Tensor,
        target: Tensor,
        index: Tensor,
    ) -> Perturbed:
        """Run all steps, and measure the flows."""
        draws = Draws(index, self.seed, self.name)
        return measured(attack.climb(victim, images, target, draws))

    def _inside(self, maps: Tensor) -> Growing:
        """Return the threat model inside the growing mask of some maps."""
        threshold = partial(_threshold, self.steps)
        mask = (maps >= threshold(self.steps - 1)).to(maps)
        return Growing(self.carrier, mask, maps, threshold, self._bound)

    def _bound(self, step: int) -> float:
        grown = _stage(step, self.steps) / _GROWTHS
        return self.max_shift * (_FIRST_SHARE + (1 - _FIRST_SHARE) * grown)


def _threshold(steps: int, step: int) -> float:
    """Return the least saliency in the mask at update ``step`` of so many, in [0, 1]."""
    return (_FIRST - _FALL * _stage(step, steps)) / 255


def _stage(step: int, steps: int) -> int:
    """Return how often mask and budget have grown by update ``step``, from 0 on; 12 at the last."""
    return int((_GROWTHS + 0.5) * (step + 1) / steps)

"""SSTA: a flow attack inside a salient region that grows."""

from dataclasses import dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor, nn

from project.attacks.core.result import Perturbed
from project.attacks.flow.active_set import ActiveSet
from project.attacks.flow.attack import Best, FlowAttack, FlowIterate, FlowSearch, FlowVerdict
from project.attacks.flow.flow_pgd import FlowPGD
from project.attacks.flow.masks import lifted, softened
from project.attacks.flow.solvers.solver import Adam, Solver
from project.attacks.gradient.objectives import Objective
from project.attacks.gradient.objectives.objective import Step
from project.attacks.gradient.transforms import BlockShuffle
from project.core.choices import choose
from project.core.errors import InputError
from project.core.samples import Samples
from project.images.eight_bit import clip
from project.saliency.frequency_tuned import FrequencyTuned
from project.saliency.provider import Saliency, SaliencyFunction, Scene, saliency_maps
from project.threat_models import Flow, Masked, Pullback, ThreatModel

_STAGE = 20
PAPER_THRESHOLD = 180
"""The paper's code looks at the mask of this threshold τ, whatever it attacks in later [code]."""
PAPER_AREA = 2500 / 224**2
"""It drops images whose mask is not larger than this share: 2500 pixels of 224² [code]; of images
of another size the same share [ours]."""


@dataclass(frozen=True)
class Profile:
    """The schedule of SSTA's mask and budget, and its search.

    Attributes:
        decoupled: AdamW instead of Adam for the flow.
        first_threshold: first threshold τ of the mask in 8-bit units.
        threshold_fall: how far τ falls every 20 steps, in 8-bit units.
        first_bound: first budget ξ in pixels.
        bound_growth: increase of ξ every 20 steps, in pixels.
        last_bound: largest ξ, in pixels.
        verbatim: whether to do whatever the released code does; see :class:`SSTA`.
        steps: the largest number of updates of an image, unless it is given.
        step_size: in pixels, unless it is given.
        views: whether to spend all steps in a gradient loop that shows the victim views, instead of
            descending the margin until the image fools; mask and budget then grow over all steps.
    """

    decoupled: bool
    first_threshold: float
    threshold_fall: float
    first_bound: float
    bound_growth: float
    last_bound: float
    verbatim: bool = False
    steps: int = 250
    step_size: float = 0.01
    views: bool = False

    def threshold(self, step: int) -> float:
        """Return τ after ``step`` updates, in 8-bit units."""
        return max(0.0, self.first_threshold - self.threshold_fall * (step // _STAGE))

    def bound(self, step: int) -> float:
        """Return ξ after ``step`` updates, in pixels."""
        return min(self.last_bound, self.first_bound + self.bound_growth * (step // _STAGE))


# The code lowers 180 by 10 at iteration 0 already, so "repaired" starts at 170. But the image was
# multiplied by the mask of 180 before, and is by no larger one: "released" stays at 180.
PROFILES = {
    "paper": Profile(True, 250, 10, first_bound=0.5, bound_growth=0.125, last_bound=2.0),
    "released": Profile(
        False, 180, 0, first_bound=1.0, bound_growth=0.0, last_bound=1.0, verbatim=True
    ),
    "repaired": Profile(False, 170, 10, first_bound=1.0, bound_growth=0.0, last_bound=1.0),
    "transfer": Profile(*(True, 250, 10, 0.25, 0.0625, 1.0), steps=10, step_size=0.25, views=True),
}


@dataclass(frozen=True)
class SSTA(FlowAttack):
    r"""Salient Spatially Transformed Attack: a flow field inside a growing salient mask.

    $$x_{adv} = M \cdot warp(x, f) + (1 - M) \cdot x,\ \|f\|_\infty \le \xi$$, M the pixels whose
    saliency reaches τ/255. τ falls and ξ rises while the attack runs; each image stops at its own
    first success. There is no smoothness term: the budget takes its place.

    Source: Liu et al., "SSTA: Salient Spatially Transformed Attack", ICASSP 2024, eq. (5)
    [paper]; the growth of ξ in profile ``paper`` [ours]; profile ``released`` [code]; profile
    ``repaired``, the code's schedule and optimiser in the loop of ``paper`` [ours]; profile
    ``transfer`` [ours].

    The profile ``transfer`` is :class:`~project.attacks.FlowPGD` inside the mask, with momentum and
    :class:`~project.attacks.BlockShuffle`: it spends all its steps, since an image that only just
    fools the network that it was made on fools hardly another one.

    The profile ``released`` does what the authors' code does [code]. It descends half the squared
    margin, whose gradient is the margin times its own. Its mask stays the one at τ = 180. It warps
    the image after blackening all outside the mask, and wherever a warped value is exactly 0, the
    clean image's stands in: so the rim inside the mask has dark fringes. ξ cuts the flow in the
    forward pass, so flow beyond it has no gradient. It stops at the first float image that fools,
    which rounding to 8 bits may undo. Two differences remain: the code never looks at its last
    update, and on the right and lower border of the image its flow has another one-sided slope.

    A first mask smaller than ``min_area`` is too small for an attack; the paper's code drops such
    images, by the mask at τ = 180. Here the most salient pixels are in the mask from the start
    instead, and an image without any salient pixel is salient everywhere [ours]. Rows hold the
    area of the map's own first mask as ``salient_area``, and of its mask at τ = 180 as
    ``salient_area_180``, from which the paper's success rate is computed too.
    """

    saliency: Saliency | SaliencyFunction | None = None
    """Saliency provider, or any callable from images (N, 3, H, W) to maps (N, 1, H, W) in [0, 1];
    None is frequency-tuned contrast."""
    profile: Literal["paper", "released", "repaired", "transfer"] = "paper"
    """Profile of mask and budget: ``paper``; ``released``, exactly the authors' code; ``repaired``,
    its schedule without its faults; or ``transfer``, for images that fool other networks too."""
    steps: int | None = None
    """Largest number of updates of an image; None is the profile's, 250 (``transfer``: 10)."""
    step_size: float | None = None
    """Learning rate of the profile's Adam, in pixels (``transfer``: step size); None is the
    profile's, 0.01 (0.25)."""
    smoothness: float = 0.0
    """Weight of stAdv's flow loss; 0 as in the paper, others [ours]."""
    edge: float = 0.0
    """Width σ in pixels of a soft edge, which fades the flow out towards the mask's border, so that
    no seam shows there: the flow is then f · M with M in [0, 1]; 0 is the paper's hard edge, others
    [ours]."""
    early_stop: bool | None = None
    """Whether to stop each image at its first success; None is the profile's, as the paper does
    (``transfer``: not)."""
    min_area: float = PAPER_AREA
    """Least share of the image in the mask, in [0, 1]; 2500 of 224² pixels is where the paper's
    code drops an image."""
    objective: Objective | None = None
    """Objective to maximise instead of the paper's margin; on segmentation victims for example
    :class:`~project.attacks.TwoStage` [ours]."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws, which only profile ``transfer`` makes."""
    max_shift: float | None = None
    """Budget ξ in the end, in pixels, to which its schedule is scaled; None is the profile's, 2 px
    (``transfer``, ``released`` and ``repaired``: 1)."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_area <= 1:
            raise InputError(f"min_area must lie in [0, 1], got {self.min_area}.")
        if not self.edge >= 0 or not self.schedule.step_size > 0:
            raise InputError(
                "edge must be at least 0 and step_size greater than 0, got "
                f"{self.edge}, {self.step_size}."
            )
        if not self.schedule.last_bound > 0:
            raise InputError(f"max_shift must be greater than 0, got {self.max_shift}.")
        if self.schedule.views and (self.edge or self.smoothness):
            raise InputError(
                "profile 'transfer' spends its whole budget in a hard mask, without edge or "
                "smoothness, got one of them. Take profile 'paper' with it."
            )
        if self.schedule.verbatim and (self.edge or self.smoothness or self.objective is not None):
            raise InputError(
                "profile 'released' is the authors' code as it is, which has no objective, edge or "
                "smoothness, got one of them. Take profile 'repaired' with it."
            )
        super().__post_init__()

    @property
    def schedule(self) -> Profile:
        """The profile of that name, overridden by the fields that are not None."""
        profile = choose("profile", PROFILES, self.profile)
        share = 1.0 if self.max_shift is None else self.max_shift / profile.last_bound
        return replace(
            profile,
            first_bound=share * profile.first_bound,
            bound_growth=share * profile.bound_growth,
            last_bound=share * profile.last_bound,
            steps=profile.steps if self.steps is None else self.steps,
            step_size=self._step_size(profile, share),
        )

    def _step_size(self, profile: Profile, share: float) -> float:
        if self.step_size is not None:
            return self.step_size
        if not profile.views or self.steps is None or self.steps < 1:
            return profile.step_size * (share if profile.views else 1.0)
        return profile.step_size * share * profile.steps / self.steps

    @property
    def search(self) -> FlowSearch:
        """The search's settings: the largest budget, and the fields of the same names."""
        profile = self.schedule
        stop = not profile.views if self.early_stop is None else self.early_stop
        carrier = Flow(profile.last_bound)
        return FlowSearch(carrier, profile.steps, self.smoothness, stop, self.objective)

    @property
    def provider(self) -> Saliency | SaliencyFunction:
        """The saliency provider, frequency-tuned contrast if none is given."""
        return FrequencyTuned() if self.saliency is None else self.saliency

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return [self.search, self.schedule, self.provider, self._climber]

    @property
    def _climber(self) -> FlowPGD | None:
        """The gradient loop of a profile with views."""
        profile = self.schedule
        if not profile.views:
            return None
        return FlowPGD(
            profile.last_bound,
            profile.step_size,
            profile.steps,
            objective=self.objective,
            transforms=(BlockShuffle(rotation=24.0),),
            targeted=self.targeted,
            seed=self.seed,
            early_stop=self.search.early_stop,
        )

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Search as the profile says."""
        if self._climber is None:
            return super().perturb(victim, images, target, index)
        maps, facts = self.prepare(images, Scene(victim, target, index))
        assert maps is not None
        found = self._climber.perturb_inside(maps, victim, images, target, index)
        return replace(found, facts=found.facts | facts)

    def solver_from(self, start: Tensor) -> Solver:
        """Return the profile's Adam."""
        return Adam(start, self.schedule.step_size, self.schedule.decoupled)

    def attach(self, samples: Samples) -> None:
        """Give the saliency provider access to the samples."""
        if isinstance(self.provider, Saliency):
            self.provider.attach(samples)

    def bound(self, step: int) -> float:
        """Return ξ in pixels, or no bound where the forward pass keeps to it."""
        return float("inf") if self.schedule.verbatim else self.schedule.bound(step)

    def flow(self, point: Tensor) -> Tensor:
        """Return the point, in the released code cut to ξ."""
        bound = self.schedule.last_bound
        return clip(point, -bound, bound) if self.schedule.verbatim else point

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Compute the saliency maps, which do not change during the attack."""
        maps = saliency_maps(self.provider, images, scene)
        area = (maps >= self.schedule.threshold(0) / 255).float().mean((1, 2, 3))
        facts = {"salient_area": area, "salient_area_180": paper_area(maps)}
        return lifted(maps, self.min_area), facts

    def region(self, step: int, maps: Tensor | None) -> Tensor | None:
        """Return the mask at a step; hard masks only grow."""
        assert maps is not None
        mask = (maps >= self.schedule.threshold(step) / 255).to(maps)
        return softened(mask, self.edge) if self.edge else mask

    def _space(self, mask: Tensor | None) -> ThreatModel:
        if self.schedule.verbatim and mask is not None:
            return CutOut(self.search.carrier, mask)
        return super()._space(mask)

    def _judge(
        self, victim: nn.Module, active: ActiveSet, iterate: FlowIterate, best: Best
    ) -> FlowVerdict | None:
        if not self.schedule.verbatim:
            return super()._judge(victim, active, iterate, best)
        fools = iterate.fooled == 1  # the code asks for no rounding
        return FlowVerdict(fools, torch.zeros_like(fools))

    def _margin(self, step: Step, judged: FlowVerdict | None) -> Tensor:
        losses = super()._margin(step, judged)
        return losses.square() / 2 if self.schedule.verbatim else losses


class CutOut(Masked):
    r"""A flow of the image cut out by a mask, as SSTA's released code composes it.

    $$w = warp(M \cdot x, f)$$, and the clean image wherever w is exactly 0. Pixels outside the mask
    start there, with a gradient of 0, and so stay as they are.

    Source: Liu et al., "SSTA", ICASSP 2024 [code].
    """

    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Warp the cut-out image, and fill its zeros from the clean one."""
        warped = self.inner.apply(images * self.mask, perturbation)
        return torch.where(warped != 0, warped, images)

    def perturb_and_pullback(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Apply the perturbation; the gradient is that of the warped values shown."""
        return ThreatModel.perturb_and_pullback(self, images, perturbation)

    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the inner model; flow outside the mask counts too."""
        return self.inner.noise(images, index, *key)

    def ascent_(self, gradient: Tensor) -> Tensor:
        """Ascend as the inner model does."""
        return self.inner.ascent_(gradient)

    def size(self, perturbation: Tensor) -> Tensor:
        """Return the size of the whole perturbation."""
        return self.inner.size(perturbation)


def paper_area(maps: Tensor) -> Tensor:
    """Return the share of each map's pixels in the mask by which the paper's code drops images.

    Args:
        maps: (N, 1, H, W) in [0, 1].

    Returns:
        (N,) float64; the code drops an image unless this is greater than :data:`PAPER_AREA`.
    """
    # A count divided once in double precision: 2500 of 224² pixels are PAPER_AREA exactly, where a
    # mean in single precision may come out above it.
    count = (maps >= PAPER_THRESHOLD / 255).flatten(1).sum(1)
    return count.double() / maps[0].numel()

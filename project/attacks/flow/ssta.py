"""SSTA: a flow attack inside a salient region that grows."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from project.attacks.flow.attack import FlowAttack, FlowSearch
from project.attacks.flow.solvers.solver import Adam, Solver
from project.attacks.gradient.objectives import Objective
from project.core.choices import choose
from project.core.errors import InputError
from project.core.samples import Samples
from project.saliency.blur import gaussian_blur
from project.saliency.frequency_tuned import FrequencyTuned
from project.saliency.provider import Saliency, SaliencyFunction, Scene, saliency_maps
from project.threat_models import Flow

_STAGE = 20
PAPER_AREA = 2500 / 224**2
"""The paper's code drops images whose first mask is not larger than this share."""


@dataclass(frozen=True)
class Profile:
    """The schedule of SSTA's mask and budget, and its optimiser.

    Attributes:
        decoupled: AdamW instead of Adam for the flow.
        first_threshold: first threshold τ of the mask in 8-bit units; it falls by 10 every 20
            steps.
        first_bound: first budget ξ in pixels.
        bound_growth: increase of ξ every 20 steps, in pixels.
        last_bound: largest ξ, in pixels.
    """

    decoupled: bool
    first_threshold: float
    first_bound: float
    bound_growth: float
    last_bound: float

    def threshold(self, step: int) -> float:
        """Return τ after ``step`` updates, in 8-bit units."""
        return max(0.0, self.first_threshold - 10 * (step // _STAGE))

    def bound(self, step: int) -> float:
        """Return ξ after ``step`` updates, in pixels."""
        return min(self.last_bound, self.first_bound + self.bound_growth * (step // _STAGE))


# "released" starts at 170 because its code lowers 180 by 10 at iteration 0 already.
PROFILES = {
    "paper": Profile(True, 250, first_bound=0.5, bound_growth=0.125, last_bound=2.0),
    "released": Profile(False, 170, first_bound=1.0, bound_growth=0.0, last_bound=1.0),
}


@dataclass(frozen=True)
class SSTA(FlowAttack):
    r"""Salient Spatially Transformed Attack: a flow field inside a growing salient mask.

    $$x_{adv} = M \cdot warp(x, f) + (1 - M) \cdot x,\ \|f\|_\infty \le \xi$$, M the pixels whose
    saliency reaches τ/255. τ falls and ξ rises while the attack runs; each image stops at its own
    first success. There is no smoothness term: the budget takes its place.

    Source: Liu et al., "SSTA: Salient Spatially Transformed Attack", ICASSP 2024, eq. (5)
    [paper]; profile ``released`` from the authors' code without its faults [code]; the growth of
    ξ in profile ``paper`` [ours].

    A first mask smaller than ``min_area`` is too small for an attack; the paper's code drops such
    images. Here the most salient pixels are in the mask from the start instead, and an image
    without any salient pixel is salient everywhere [ours]. Rows hold the area of the map's own
    first mask as ``salient_area``, so that the paper's success rate can be computed too.
    """

    saliency: Saliency | SaliencyFunction | None = None
    """Saliency provider, or any callable from images (N, 3, H, W) to maps (N, 1, H, W) in [0, 1];
    None is frequency-tuned contrast."""
    profile: Literal["paper", "released"] = "paper"
    """Profile of mask and budget: ``paper``, or ``released`` as in the authors' code."""
    steps: int = 250
    """Largest number of updates of an image."""
    step_size: float = 0.01
    """Learning rate of the profile's Adam, in pixels."""
    smoothness: float = 0.0
    """Weight of stAdv's flow loss; 0 as in the paper, others [ours]."""
    edge: float = 0.0
    """Width σ in pixels of a soft edge, which fades the flow out towards the mask's border, so that
    no seam shows there: the flow is then f · M with M in [0, 1]; 0 is the paper's hard edge, others
    [ours]."""
    early_stop: bool = True
    """Whether to stop each image at its first success, as the paper does."""
    min_area: float = PAPER_AREA
    """Least share of the image in the mask, in [0, 1]; 2500 of 224² pixels is where the paper's
    code drops an image."""
    objective: Objective | None = None
    """Objective to maximise instead of the paper's margin; on segmentation victims for example
    :class:`~project.attacks.TwoStage` [ours]."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def __post_init__(self) -> None:
        if not 0 <= self.min_area <= 1:
            raise InputError(f"min_area must lie in [0, 1], got {self.min_area}.")
        if not self.edge >= 0 or not self.step_size > 0:
            raise InputError(
                "edge must be at least 0 and step_size greater than 0, got "
                f"{self.edge}, {self.step_size}."
            )
        super().__post_init__()

    @property
    def schedule(self) -> Profile:
        """The profile of that name."""
        return choose("profile", PROFILES, self.profile)

    @property
    def search(self) -> FlowSearch:
        """The search's settings: the largest budget, and the fields of the same names."""
        carrier = Flow(self.schedule.last_bound)
        return FlowSearch(carrier, self.steps, self.smoothness, self.early_stop, self.objective)

    @property
    def provider(self) -> Saliency | SaliencyFunction:
        """The saliency provider, frequency-tuned contrast if none is given."""
        return FrequencyTuned() if self.saliency is None else self.saliency

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return [self.search, self.schedule, self.provider]

    def solver_from(self, start: Tensor) -> Solver:
        """Return the profile's Adam."""
        return Adam(start, self.step_size, self.schedule.decoupled)

    def attach(self, samples: Samples) -> None:
        """Give the saliency provider access to the samples."""
        if isinstance(self.provider, Saliency):
            self.provider.attach(samples)

    def bound(self, step: int) -> float:
        """Return ξ in pixels."""
        return self.schedule.bound(step)

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Compute the saliency maps, which do not change during the attack."""
        maps = saliency_maps(self.provider, images, scene)
        area = (maps >= self.schedule.threshold(0) / 255).float().mean((1, 2, 3))
        return lifted(maps, self.min_area), {"salient_area": area}

    def region(self, step: int, maps: Tensor | None) -> Tensor | None:
        """Return the mask at a step; hard masks only grow."""
        assert maps is not None
        mask = (maps >= self.schedule.threshold(step) / 255).to(maps)
        return softened(mask, self.edge) if self.edge else mask


def lifted(maps: Tensor, min_area: float) -> Tensor:
    """Raise the most salient pixels of each map to 1, so that they are in every mask.

    Pixels of saliency 0 are only raised where the whole map is 0: then all are.

    Args:
        maps: (N, 1, H, W) in [0, 1].
        min_area: share of pixels to raise (more where values tie, fewer where they are 0); the
            most salient pixel always is.
    """
    falling = maps.flatten(1).sort(1, descending=True).values
    level = falling[:, max(0, int(min_area * falling.shape[1]) - 1)]
    least = falling.masked_fill(falling == 0, 2.0).amin(1)  # the smallest that is not 0
    level = torch.where(least <= 1, level.maximum(least), level)
    return maps.masked_fill(maps >= level.view(-1, 1, 1, 1), 1.0)


def softened(masks: Tensor, edge: float) -> Tensor:
    r"""Fade binary masks out towards their border: $$\max(0, 2 G_\sigma * M - 1)$$.

    That is 1 deep inside, 0 on a straight border and outside of it. A mask so thin that this is
    below one half everywhere keeps its hard edge until it has grown. Masks are blurred one by one:
    convolutions round differently in batches of another size.

    Args:
        masks: (N, 1, H, W), 0 or 1.
        edge: σ of the Gaussian in pixels.
    """
    blurred = torch.cat([gaussian_blur(mask[None], edge) for mask in masks])
    soft = (2 * blurred - 1).clamp(0, 1) * masks
    return torch.where(soft.amax((1, 2, 3), keepdim=True) >= 0.5, soft, masks)

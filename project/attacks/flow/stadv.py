"""stAdv: a flow attack with a smooth flow of the whole image."""

from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor

from project.attacks.core.attack import filled_in
from project.attacks.flow.attack import FlowAttack, FlowSearch
from project.attacks.flow.solvers.lbfgs import LBFGS
from project.attacks.flow.solvers.solver import Adam, Solver
from project.core.choices import choose
from project.core.errors import InputError
from project.threat_models import Flow


@dataclass(frozen=True)
class StAdvSettings:
    """The settings that a preset of stAdv fixes.

    Attributes:
        solver: the minimiser, ``lbfgs`` or ``adam``.
        steps: the largest number of updates of an image.
        early_stop: whether to stop each image at its first success.
    """

    solver: Literal["lbfgs", "adam"]
    steps: int
    early_stop: bool


PRESETS = {
    "sized": StAdvSettings("lbfgs", 200, False),
    "paper": StAdvSettings("lbfgs", 200, False),
    "fast": StAdvSettings("adam", 60, True),
}
STEP_SIZES = {"lbfgs": 1.0, "adam": 0.1}
TAU = 0.05
PAPER_PIXELS = 32**2
"""Pixels of CIFAR-10's images, on which the paper attacks most."""


@dataclass(frozen=True)
class StAdv(FlowAttack):
    r"""Warp the whole image along a smooth flow.

    The loss and the choice among iterates are :class:`~project.attacks.FlowAttack`'s.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (2)–(4):
    τ = 0.05, κ = 0, solved by L-BFGS with a line search [paper]. The number of updates, Adam,
    the presets ``sized`` and ``fast`` are [ours].

    The paper does not say in which unit τ weighs flows, and the flow loss is a sum over all
    pixels. Enlarge a photo s times, and the flow that moves its content alike is s times as long;
    its differences between neighbours are the same, but there are s² as many. The margin does not
    change, so τ has to fall as $$1 / (H W)$$ for the same trade. With 0.05 on flows in pixels, the
    loss's minimum on large images is often no adversarial example at all, which an exact solver
    finds out. So the default preset ``sized`` takes the paper's 0.05 at the 32² pixels of CIFAR-10
    and $$0.05 \cdot 32^2 / (H W)$$ elsewhere, 0.00102 at 224² (see ``docs/results.md``).
    """

    smoothness: float | None = None
    """Weight τ of the flow loss, for flows in pixels, whatever the image's size; None is the
    preset's."""
    preset: Literal["sized", "paper", "fast"] = "sized"
    """Preset: ``sized``, L-BFGS, 200 updates, of which the smoothest success is kept, τ by the
    image's size; ``paper``, the same with τ = 0.05 at any size; ``fast``, Adam, 60 steps, the first
    success, τ = 0.05."""
    solver: Literal["lbfgs", "adam"] | None = None
    """Minimiser: ``lbfgs``, per image with a strong-Wolfe line search, or ``adam``; None is the
    preset's."""
    steps: int | None = None
    """Largest number of updates of an image; None is the preset's."""
    step_size: float | None = None
    """Learning rate of Adam in pixels, or the first step that L-BFGS tries along each direction;
    None is 0.1 or 1."""
    early_stop: bool | None = None
    """Whether to stop each image at its first success, not search on for the smoothest one; None is
    the preset's."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed of random draws; this attack makes none."""

    def __post_init__(self) -> None:
        choose("solver", STEP_SIZES, self.settings.solver)
        if not self.rate > 0:
            raise InputError(f"step_size must be greater than 0, got {self.step_size}.")
        super().__post_init__()

    @property
    def settings(self) -> StAdvSettings:
        """The preset's settings, overridden by the fields that are not None."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    @property
    def rate(self) -> float:
        """The step size, by default the solver's own."""
        return STEP_SIZES[self.settings.solver] if self.step_size is None else self.step_size

    @property
    def search(self) -> FlowSearch:
        """The search's settings."""
        settings = self.settings
        sized = self.preset == "sized" and self.smoothness is None
        return FlowSearch(
            Flow(),
            settings.steps,
            TAU if self.smoothness is None else self.smoothness,
            settings.early_stop,
            area=PAPER_PIXELS if sized else None,
        )

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return [self.search, self.settings, self.rate]

    def solver_from(self, start: Tensor) -> Solver:
        """Return L-BFGS or Adam."""
        kind = LBFGS if self.settings.solver == "lbfgs" else Adam
        return kind(start, self.rate)

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


PRESETS = {"paper": StAdvSettings("lbfgs", 200, False), "fast": StAdvSettings("adam", 60, True)}
STEP_SIZES = {"lbfgs": 1.0, "adam": 0.1}


@dataclass(frozen=True)
class StAdv(FlowAttack):
    """Warp the whole image along a smooth flow.

    The loss and the choice among iterates are :class:`~project.attacks.FlowAttack`'s.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (2)–(4):
    τ = 0.05, κ = 0, solved by L-BFGS with a line search [paper]. The number of updates, Adam
    and the preset ``fast`` are [ours].

    The paper does not say in which unit τ weighs flows. In pixels, 0.05 is strict on large images:
    the flow loss is a sum over all of them, and its minimum together with the margin is often no
    adversarial example at all, which an exact solver finds out (see ``docs/comparison.md``). With
    flows in units of half the image, 0.05 is 0.1 / (side - 1) in pixels, 0.00045 at 224².
    """

    smoothness: float = 0.05
    """Weight τ of the flow loss, for flows in pixels."""
    preset: Literal["paper", "fast"] = "paper"
    """Preset: ``paper``, L-BFGS, 200 updates, of which the smoothest success is kept; ``fast``,
    Adam, 60 steps, the first success."""
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
        return FlowSearch(Flow(), settings.steps, self.smoothness, settings.early_stop)

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return [self.search, self.settings, self.rate]

    def solver_from(self, start: Tensor) -> Solver:
        """Return L-BFGS or Adam."""
        kind = LBFGS if self.settings.solver == "lbfgs" else Adam
        return kind(start, self.rate)

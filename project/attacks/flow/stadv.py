"""stAdv: the first flow attack."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from project.attacks.core.attack import chosen_preset
from project.attacks.flow.attack import FlowAttack
from project.attacks.flow.solvers.lbfgs import LBFGS
from project.attacks.flow.solvers.solver import Adam, Solver
from project.core.errors import InputError
from project.threat_models import Flow


@dataclass(frozen=True)
class Preset:
    """How stAdv searches.

    Attributes:
        solver: ``lbfgs`` or ``adam``.
        steps: the most updates of an image.
        early_stop: whether an image leaves at its first success.
    """

    solver: Literal["lbfgs", "adam"]
    steps: int
    early_stop: bool


PRESETS = {"paper": Preset("lbfgs", 200, False), "fast": Preset("adam", 60, True)}
STEP_SIZES = {"lbfgs": 1.0, "adam": 0.1}


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

    Args:
        smoothness: τ, the weight of the flow loss, for flows in pixels.
        preset: ``paper``: L-BFGS, 200 updates, of which the smoothest success is kept;
            ``fast``: Adam, 60 steps, the first success.
        solver: ``lbfgs``, per image with a strong-Wolfe line search, or ``adam``; None is the
            preset's.
        steps: the most updates of an image; None is the preset's.
        step_size: Adam's learning rate in pixels, or the first step tried by L-BFGS along each
            direction; None is 0.1 or 1.
        early_stop: let each image leave at its first success instead of searching on for the
            smoothest one; None is the preset's.
        targeted: whether the target is wanted.
        seed: the key of all draws (none is made).
    """

    def __init__(
        self,
        smoothness: float = 0.05,
        preset: Literal["paper", "fast"] = "paper",
        solver: Literal["lbfgs", "adam"] | None = None,
        steps: int | None = None,
        step_size: float | None = None,
        early_stop: bool | None = None,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        chosen = chosen_preset(PRESETS, preset)
        self.preset = preset
        self.solver = chosen.solver if solver is None else solver
        if self.solver not in STEP_SIZES:
            raise InputError(f"solver must be one of {', '.join(STEP_SIZES)}, got {solver!r}.")
        self.step_size = STEP_SIZES[self.solver] if step_size is None else step_size
        if not self.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {step_size}.")
        super().__init__(
            Flow(),
            chosen.steps if steps is None else steps,
            smoothness,
            chosen.early_stop if early_stop is None else early_stop,
            objective=None,
            targeted=targeted,
            seed=seed,
        )

    def solver_from(self, start: Tensor) -> Solver:
        """Return L-BFGS or Adam."""
        kind = LBFGS if self.solver == "lbfgs" else Adam
        return kind(start, self.step_size)

"""Chroma-Shift: move the colours, leave the brightness."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from project.attacks.core.attack import chosen_preset
from project.attacks.flow.attack import FlowAttack
from project.attacks.flow.solvers.solver import Adam, Solver
from project.core import randomness
from project.core.errors import InputError
from project.images.colour import colourfulness
from project.saliency.provider import Scene
from project.threat_models import ChromaFlow


@dataclass(frozen=True)
class Preset:
    """How long Chroma-Shift searches.

    Attributes:
        steps: the most updates of an image.
        step_size: Adam's learning rate.
    """

    steps: int
    step_size: float


PRESETS = {"paper": Preset(1000, 0.005), "fast": Preset(100, 0.1)}
_START = 0.1
_GREY = 15.0
"""Images of no more colourfulness are left out by the paper."""


class ChromaShift(FlowAttack):
    r"""Warp the chroma channels U and V of an image along one flow; luma stays.

    $$f = \xi \tanh \theta$$, θ starts at 0.1 · N(0, 1) and descends the margin by Adam. Images are
    cut to [0, 1] before they are judged.

    Source: Aydin et al., "Imperceptible Adversarial Examples by Spatial Chroma-Shift", ADVM 2021,
    section 3 [paper]; ξ = 1 px, start, rate and steps [code]; that an image leaves at its first
    success is [ours].

    An image that is wrong already is moved too, by its random start. An image without colour has no
    chroma to move, and cannot be attacked; the paper leaves out those whose colourfulness is 15 or
    less. Here all are attacked; rows tell ``colourfulness``, and ``grey`` (1 or 0), whose mean is
    the share of such images.

    Args:
        max_shift: ξ, the largest displacement along an axis in pixels.
        preset: ``paper``: 1000 steps at rate 0.005; ``fast``: 100 at 0.1.
        steps: the most updates of an image; None is the preset's.
        step_size: Adam's learning rate, of θ; None is the preset's.
        smoothness: weight of stAdv's flow loss; 0 as in the paper.
        early_stop: let each image leave at its first success instead of searching on for the
            smoothest one.
        targeted: whether the target is wanted.
        seed: the key of the starts.
    """

    def __init__(
        self,
        max_shift: float = 1.0,
        preset: Literal["paper", "fast"] = "paper",
        steps: int | None = None,
        step_size: float | None = None,
        smoothness: float = 0.0,
        early_stop: bool = True,
        targeted: bool = False,
        seed: int = 0,
    ) -> None:
        chosen = chosen_preset(PRESETS, preset)
        if not 0 < max_shift < float("inf"):
            raise InputError(f"max_shift must be a finite number of pixels, got {max_shift}.")
        self.max_shift = max_shift
        self.preset = preset
        self.step_size = chosen.step_size if step_size is None else step_size
        if not self.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {step_size}.")
        super().__init__(
            ChromaFlow(max_shift),
            chosen.steps if steps is None else steps,
            smoothness,
            early_stop,
            objective=None,
            targeted=targeted,
            seed=seed,
        )

    def solver_from(self, start: Tensor) -> Solver:
        """Return Adam."""
        return Adam(start, self.step_size)

    def start(self, images: Tensor, index: Tensor) -> Tensor:
        """Draw θ from 0.1 · N(0, 1)."""
        shape = (2, *images.shape[2:])
        return _START * randomness.normal(shape, index, self.seed, self.name, "start").to(images)

    def flow(self, point: Tensor) -> Tensor:
        """Return ξ · tanh θ."""
        return self.max_shift * torch.tanh(point)

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Measure how much colour there is to move."""
        colours = colourfulness(images)
        return None, {"colourfulness": colours, "grey": (colours <= _GREY).double()}

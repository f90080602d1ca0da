"""Chroma-Shift: a flow attack that moves the colours and leaves the brightness."""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from project.attacks.core.attack import filled_in
from project.attacks.flow.attack import FlowAttack, FlowSearch
from project.attacks.flow.solvers.solver import Adam, Solver
from project.core import randomness
from project.core.choices import choose
from project.core.errors import InputError
from project.images.colour import colourfulness
from project.saliency.provider import Scene
from project.threat_models import ChromaFlow


@dataclass(frozen=True)
class ChromaShiftSettings:
    """The settings that a preset of Chroma-Shift fixes.

    Attributes:
        steps: the largest number of updates of an image.
        step_size: Adam's learning rate.
    """

    steps: int
    step_size: float


PRESETS = {"paper": ChromaShiftSettings(1000, 0.005), "fast": ChromaShiftSettings(100, 0.1)}
_START = 0.1
_GREY = 15.0
"""The paper leaves out images of this colourfulness or less."""


@dataclass(frozen=True)
class ChromaShift(FlowAttack):
    r"""Warp the chroma channels U and V of an image along one flow; luma stays.

    $$f = \xi \tanh \theta$$, θ starts at 0.1 · N(0, 1) and descends the margin by Adam. Images are
    cut to [0, 1] before they are judged.

    Source: Aydin et al., "Imperceptible Adversarial Examples by Spatial Chroma-Shift", ADVM 2021,
    section 3 [paper]; ξ = 1 px, start, rate and steps [code]; that an image leaves at its first
    success is [ours].

    An image that is misclassified from the start is moved too, by its random start. An image
    without colour has no chroma to move, and cannot be attacked; the paper leaves out those whose
    colourfulness is 15 or less. Here all are attacked; rows hold ``colourfulness``, and ``grey`` (1
    or 0), whose mean is the share of such images.
    """

    max_shift: float = 1.0
    """Budget ξ, the largest displacement along an axis in pixels."""
    preset: Literal["paper", "fast"] = "paper"
    """Preset: ``paper``, 1000 steps at rate 0.005; ``fast``, 100 at 0.1."""
    steps: int | None = None
    """Largest number of updates of an image; None is the preset's."""
    step_size: float | None = None
    """Learning rate of Adam on θ; None is the preset's."""
    smoothness: float = 0.0
    """Weight of stAdv's flow loss; 0 as in the paper."""
    early_stop: bool = True
    """Whether to stop each image at its first success, not search on for the smoothest one."""
    targeted: bool = False
    """Whether the attack is targeted: the victim shall predict the target."""
    seed: int = 0
    """Seed from which the random starts derive."""

    def __post_init__(self) -> None:
        if not 0 < self.max_shift < float("inf"):
            raise InputError(f"max_shift must be a finite number of pixels, got {self.max_shift}.")
        if not self.settings.step_size > 0:
            raise InputError(f"step_size must be greater than 0, got {self.step_size}.")
        super().__post_init__()

    @property
    def settings(self) -> ChromaShiftSettings:
        """The preset's settings, overridden by the fields that are not None."""
        return filled_in(choose("preset", PRESETS, self.preset), self)

    @property
    def search(self) -> FlowSearch:
        """The loop's settings."""
        carrier = ChromaFlow(self.max_shift)
        return FlowSearch(carrier, self.settings.steps, self.smoothness, self.early_stop)

    def derived(self) -> Any:
        """Return the settings that follow from the fields; see :class:`~project.attacks.Attack`."""
        return [self.search, self.settings]

    def solver_from(self, start: Tensor) -> Solver:
        """Return Adam."""
        return Adam(start, self.settings.step_size)

    def start(self, images: Tensor, index: Tensor) -> Tensor:
        """Draw θ from 0.1 · N(0, 1)."""
        shape = (2, *images.shape[2:])
        return _START * randomness.normal(shape, index, self.seed, self.name, "start").to(images)

    def flow(self, point: Tensor) -> Tensor:
        """Return ξ · tanh θ."""
        return self.max_shift * torch.tanh(point)

    def prepare(self, images: Tensor, scene: Scene) -> tuple[Tensor | None, dict[str, Tensor]]:
        """Measure the images' colourfulness; there are no maps."""
        colours = colourfulness(images)
        return None, {"colourfulness": colours, "grey": (colours <= _GREY).double()}

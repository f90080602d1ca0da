"""A mask that grows and a budget that rises from step to step, for loops of a gradient attack."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

from torch import Tensor

from project.threat_models import Flow, Masked
from project.threat_models.model import Iterate, PerturbationIterate

Schedule = Callable[[int], float]
"""A value for each number of updates made so far."""


@dataclass(frozen=True, eq=False)
class Growing(Masked):
    """A flow inside a mask that begins small and ends as ``mask``, and whose budget rises likewise.

    An iterate's step number t moves pixels whose map reaches the threshold at t, by at most the
    bound at t. So a pixel that joins late has moved no step before.
    """

    maps: Tensor
    """(N, 1, H, W) saliency maps in [0, 1]."""
    threshold: Schedule
    """Least saliency in the mask, in [0, 1], which falls."""
    bound: Schedule
    """Budget in pixels, which rises."""

    def iterate_from(self, images: Tensor, start: Tensor) -> Iterate:
        """Return an iterate that counts its steps."""
        return _GrowingIterate(self, images, self.projection(images)(start))

    def inside(self, step: int) -> Tensor:
        """Return the mask after ``step`` updates, (N, 1, H, W)."""
        return (self.maps >= self.threshold(step)).to(self.maps)

    def scaled(self, factor: float) -> Self:
        """Return the same mask with ``factor`` times the budget at every step."""
        bound = self.bound
        return replace(
            self, inner=self.inner.scaled(factor), bound=lambda step: factor * bound(step)
        )


class _GrowingIterate(PerturbationIterate):
    """The iterate of a growing mask."""

    threat_model: Growing

    def __init__(self, threat_model: Growing, images: Tensor, perturbation: Tensor) -> None:
        super().__init__(threat_model, images, perturbation)
        self._made = 0

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step inside the mask of now, and clip to the budget of now."""
        growing = self.threat_model
        self._perturbation.addcmul_(direction * growing.inside(self._made), length)
        Flow(growing.bound(self._made)).projection(self.images)(self._perturbation)
        self._made += 1

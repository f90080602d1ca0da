"""Where an attack stands in a threat model, moved in place.

Beside a network's passes a loop's time is that of its own passes over memory, so a walk holds
whatever makes a step cheapest.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from torch import Tensor

if TYPE_CHECKING:
    from project.threat_models.model import Pullback, ThreatModel


class Walk(ABC):
    """A batch's allowed perturbations, one after another."""

    @property
    @abstractmethod
    def perturbation(self) -> Tensor:
        """Where the walk stands, (N, C, H, W); the next step may overwrite it."""

    @abstractmethod
    def perturbed(self) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]; the next step may overwrite them."""

    @abstractmethod
    def meet(self) -> tuple[Tensor, Pullback]:
        """Return the perturbed images and how a gradient gets back; the next step overwrites them.

        See :meth:`~project.threat_models.ThreatModel.meet`.
        """

    @abstractmethod
    def step(self, direction: Tensor, length: Tensor) -> None:
        """Add ``length`` times ``direction`` to the perturbation, and project.

        Args:
            direction: (N, C, H, W).
            length: (N, 1, 1, 1).
        """

    @abstractmethod
    def kept(self, rows: Tensor) -> Walk:
        """Return the walk of some images only, by their places or a mask (N,)."""


class PerturbationWalk(Walk):
    """The walk of any threat model: it holds the perturbation.

    Args:
        threat_model: what the perturbation is.
        images: (N, 3, H, W), the clean images.
        perturbation: (N, C, H, W), allowed; overwritten by the first step.
    """

    def __init__(self, threat_model: ThreatModel, images: Tensor, perturbation: Tensor) -> None:
        self.threat_model = threat_model
        self.images = images
        self._project = threat_model.projection(images)
        self._perturbation = perturbation

    @property
    def perturbation(self) -> Tensor:
        """What the walk holds."""
        return self._perturbation

    def perturbed(self) -> Tensor:
        """Apply the perturbation."""
        return self.threat_model.apply(self.images, self._perturbation)

    def meet(self) -> tuple[Tensor, Pullback]:
        """Let the perturbation meet the images."""
        return self.threat_model.meet(self.images, self._perturbation)

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step and project."""
        self._project(self._perturbation.addcmul_(direction, length))

    def kept(self, rows: Tensor) -> PerturbationWalk:
        """Return the walk of some, from the very same place."""
        threat_model = self.threat_model.kept(rows)
        return PerturbationWalk(threat_model, self.images[rows], self._perturbation[rows])


class BoxWalk(Walk):
    """The walk of noise with bounds of each value: it holds the perturbed images.

    Args:
        images: (N, 3, H, W), the clean images.
        low: the least values allowed, of the same shape.
        high: the greatest.
        found: the perturbed images, between them; overwritten by the first step.
    """

    def __init__(self, images: Tensor, low: Tensor, high: Tensor, found: Tensor) -> None:
        self.images = images
        self.low = low
        self.high = high
        self._found = found

    @property
    def perturbation(self) -> Tensor:
        """Return by how much the images are changed."""
        return self._found - self.images

    def perturbed(self) -> Tensor:
        """Return what the walk holds."""
        return self._found

    def meet(self) -> tuple[Tensor, Pullback]:
        """Return what the walk holds, for a graph of its own."""
        return self._found.detach(), lambda gradient: gradient

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step and clip."""
        self._found.addcmul_(direction, length).clamp_(self.low, self.high)

    def kept(self, rows: Tensor) -> BoxWalk:
        """Return the walk of some."""
        return BoxWalk(self.images[rows], self.low[rows], self.high[rows], self._found[rows])

"""What every threat model tells of its perturbations, and how a loop walks through one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from project.core.errors import InputError
from project.images.eight_bit import to_8bit

Pullback = Callable[[Tensor], Tensor]
"""From the gradient with respect to perturbed images to that with respect to the perturbation."""

Projection = Callable[[Tensor], Tensor]
"""From any perturbation of certain images to an allowed one close to it, in place."""


class ThreatModel(ABC):
    """The perturbations an attacker may apply; every method works image by image."""

    def zeros(self, images: Tensor) -> Tensor:
        """Return the perturbation that changes nothing."""
        return torch.zeros_like(images)

    @abstractmethod
    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the budget, image by image, keyed by (key, sample index); may leave [0, 1].

        Returns:
            A new tensor, as of :meth:`ascent`, so that a loop may go on in its place.
        """

    def random(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw an allowed perturbation for each image, keyed by (key, sample index)."""
        return self.projection(images)(self.noise(images, index, *key))

    @abstractmethod
    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]."""

    def meet(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Return what ``apply`` does, detached, and how a gradient gets back from there.

        Args:
            images: (N, 3, H, W).
            perturbation: inside the range of an image, as ``project``, ``random`` and
                ``within_range`` leave it; there noise is never cut.
        """
        with torch.enable_grad():
            leaf = perturbation.detach().requires_grad_()
            adversarial = self.apply(images, leaf)

        def pull_back(gradient: Tensor) -> Tensor:
            (pulled,) = torch.autograd.grad(adversarial, leaf, gradient)
            return pulled

        return adversarial.detach(), pull_back

    def project(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Return an allowed perturbation close to the given one."""
        return self.projection(images)(perturbation.clone())

    @abstractmethod
    def projection(self, images: Tensor) -> Projection:
        """Return the projection for these images, made once for all steps of a loop."""

    def walk(self, images: Tensor, start: Tensor) -> Walk:
        """Return a walk through the threat model.

        Args:
            images: (N, 3, H, W), the clean images.
            start: (N, C, H, W), where to start once projected; overwritten.
        """
        return PerturbationWalk(self, images, self.projection(images)(start))

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Cut off what would leave [0, 1], whatever the budget; a flow never does."""
        return perturbation

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of unit ``size``."""
        return self.ascent_(gradient.clone())

    @abstractmethod
    def ascent_(self, gradient: Tensor) -> Tensor:
        """Turn a gradient into the direction of steepest ascent, in place."""

    def kept(self, rows: Tensor) -> ThreatModel:
        """Return the threat model of some images only, by their places or a mask (N,)."""
        return self

    def step_value(self, images: Tensor) -> float:
        """Return how much each value changes on average in a step of unit size."""
        return 1.0

    @abstractmethod
    def size(self, perturbation: Tensor) -> Tensor:
        """Return each perturbation's size, (N,)."""

    @abstractmethod
    def scaled(self, factor: float) -> ThreatModel:
        """Return the same kind of threat model with ``factor`` times the budget."""

    def round(self, images: Tensor, adversarial: Tensor) -> Tensor:
        """Round perturbed images to 8 bits without leaving the threat model.

        Args:
            images: (N, 3, H, W), the clean images; a bound on pixel values can only be kept
                where they are 8-bit images themselves.
            adversarial: of the same shape.

        Returns:
            The same shape, every value k/255.
        """
        return to_8bit(adversarial)


def positive(budget: float) -> float:
    """Return a budget.

    Raises:
        ValueError: if it is not greater than 0.
    """
    if not budget > 0:
        raise InputError(f"a budget must be greater than 0, got {budget}.")
    return budget


def spread(factors: Tensor, like: Tensor) -> Tensor:
    """Return one factor per image, (N,), in a shape that multiplies images (N, C, H, W)."""
    return factors.view(-1, *[1] * (like.ndim - 1))


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

"""What every threat model tells of its perturbations, and where a loop stands in one."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.per_image import PerImage
from project.images.eight_bit import to_8bit

Pullback = Callable[[Tensor], Tensor]
"""From the gradient with respect to perturbed images to that with respect to the perturbation."""

Projection = Callable[[Tensor], Tensor]
"""From any perturbation of certain images to an allowed one close to it, in place."""


class ThreatModel(PerImage, ABC):
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

    def perturb_and_pullback(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
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

    def iterate_from(self, images: Tensor, start: Tensor) -> Iterate:
        """Return where a loop stands at first; its steps move it in place.

        Args:
            images: (N, 3, H, W), the clean images.
            start: (N, C, H, W), where to start once projected; overwritten.
        """
        return PerturbationIterate(self, images, self.projection(images)(start))

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Cut off what would leave [0, 1], whatever the budget; a flow never does."""
        return perturbation

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of unit ``size``."""
        return self.ascent_(gradient.clone())

    @abstractmethod
    def ascent_(self, gradient: Tensor) -> Tensor:
        """Turn a gradient into the direction of steepest ascent, in place."""

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


def require_positive(budget: float) -> None:
    """Refuse a budget that is not greater than 0, with a ``ValueError``."""
    if not budget > 0:
        raise InputError(f"a budget must be greater than 0, got {budget}.")


class Iterate(PerImage, ABC):
    """Where a loop stands in a threat model: a batch's allowed perturbations, moved in place.

    Beside a network's passes a loop's time is that of its own passes over memory, so an iterate
    holds whatever makes a step cheapest, and gives away views of it instead of copies.
    """

    @property
    @abstractmethod
    def perturbation(self) -> Tensor:
        """Where it stands, (N, C, H, W); the next step may overwrite it."""

    @abstractmethod
    def perturbed(self) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]; the next step may overwrite them."""

    @abstractmethod
    def perturb_and_pullback(self) -> tuple[Tensor, Pullback]:
        """Return the perturbed images and how a gradient gets back; the next step overwrites them.

        See :meth:`~project.threat_models.ThreatModel.perturb_and_pullback`.
        """

    @abstractmethod
    def step(self, direction: Tensor, length: Tensor) -> None:
        """Add ``length`` times ``direction`` to the perturbation, and project.

        Args:
            direction: (N, C, H, W).
            length: (N, 1, 1, 1).
        """


class PerturbationIterate(Iterate):
    """The iterate of any threat model: it holds the perturbation.

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
        """What it holds."""
        return self._perturbation

    def perturbed(self) -> Tensor:
        """Apply the perturbation."""
        return self.threat_model.apply(self.images, self._perturbation)

    def perturb_and_pullback(self) -> tuple[Tensor, Pullback]:
        """Let the perturbation meet the images."""
        return self.threat_model.perturb_and_pullback(self.images, self._perturbation)

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step and project."""
        self._project(self._perturbation.addcmul_(direction, length))

    def shrink_to(self, rows: Tensor) -> None:
        """Let all other images leave, with what the projection knows of them."""
        super().shrink_to(rows)
        self._project = self.threat_model.projection(self.images)

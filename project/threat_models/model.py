"""The interface of threat models, and the iterates that loops move inside them in place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.fields import CheckedFields
from project.core.per_image import PerImage
from project.images.eight_bit import to_8bit

Pullback = Callable[[Tensor], Tensor]
"""Maps the gradient with respect to perturbed images to that with respect to the perturbation."""

Projection = Callable[[Tensor], Tensor]
"""Maps any perturbation of certain images to an allowed one close to it, in place."""


class ThreatModel(PerImage, CheckedFields, ABC):
    """The perturbations an attacker may apply; every method works image by image."""

    def zeros(self, images: Tensor) -> Tensor:
        """Return the perturbation that changes nothing."""
        return torch.zeros_like(images)

    @abstractmethod
    def noise(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw from the budget, image by image, keyed by (key, sample index).

        Perturbed images may exceed [0, 1]; :meth:`random` projects.

        Returns:
            A new tensor, which a loop may overwrite; likewise for :meth:`ascent`.
        """

    def random(self, images: Tensor, index: Tensor, *key: int | str) -> Tensor:
        """Draw an allowed perturbation for each image, keyed by (key, sample index)."""
        return self.projection(images)(self.noise(images, index, *key))

    @abstractmethod
    def apply(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]."""

    def perturb_and_pullback(self, images: Tensor, perturbation: Tensor) -> tuple[Tensor, Pullback]:
        """Return the perturbed images, detached, and the pullback of their gradient.

        Args:
            images: (N, 3, H, W).
            perturbation: such that the perturbed images lie in [0, 1], as ``project``, ``random``
                and ``within_range`` return it; noise is then never clipped.
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
        """Return the projection for these images, which is made once for all steps of a loop."""

    def iterate_from(self, images: Tensor, start: Tensor) -> Iterate:
        """Return the first iterate of a loop, whose steps move it in place.

        Args:
            images: (N, 3, H, W), the clean images.
            start: (N, C, H, W), where to start once projected; overwritten.
        """
        return PerturbationIterate(self, images, self.projection(images)(start))

    def within_range(self, images: Tensor, perturbation: Tensor) -> Tensor:
        """Clip so that perturbed images lie in [0, 1], whatever the budget; flows always do."""
        return perturbation

    def ascent(self, gradient: Tensor) -> Tensor:
        """Return the direction of steepest ascent of unit ``size``."""
        return self.ascent_(gradient.clone())

    @abstractmethod
    def ascent_(self, gradient: Tensor) -> Tensor:
        """Turn a gradient into the direction of steepest ascent of unit ``size``, in place."""

    def step_value(self, images: Tensor) -> float:
        """Return how much a value changes on average in a step of unit ``size``."""
        return 1.0

    @abstractmethod
    def size(self, perturbation: Tensor) -> Tensor:
        """Return each perturbation's size, (N,)."""

    def flow(self, perturbation: Tensor) -> Tensor | None:
        """Return the displacement that it holds, (N, 2, H, W) in pixels; None where none can be."""
        return None

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
    """The current iterate of a loop: a batch's allowed perturbations, moved in place.

    Apart from the network's passes, a loop spends its time on its own passes over memory. So an
    iterate stores the representation that makes a step cheapest, and returns views instead of
    copies: whatever must outlive the next step has to be cloned.
    """

    @property
    @abstractmethod
    def perturbation(self) -> Tensor:
        """The current perturbation, (N, C, H, W); the next step may overwrite it."""

    @abstractmethod
    def perturbed(self) -> Tensor:
        """Return the perturbed images, (N, 3, H, W) in [0, 1]; the next step may overwrite them."""

    @abstractmethod
    def perturb_and_pullback(self) -> tuple[Tensor, Pullback]:
        """Return the perturbed images and the pullback; the next step may overwrite the images.

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
    """The iterate for any threat model, which stores the perturbation.

    Args:
        threat_model: the threat model.
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
        """The stored perturbation."""
        return self._perturbation

    def perturbed(self) -> Tensor:
        """Apply the perturbation."""
        return self.threat_model.apply(self.images, self._perturbation)

    def perturb_and_pullback(self) -> tuple[Tensor, Pullback]:
        """Apply the perturbation, and return the pullback."""
        return self.threat_model.perturb_and_pullback(self.images, self._perturbation)

    def step(self, direction: Tensor, length: Tensor) -> None:
        """Step and project."""
        # Safe although the last graph's leaf shares this memory: its backward pass is over.
        self._project(self._perturbation.addcmul_(direction, length))

    def shrink_to(self, rows: Tensor) -> None:
        """Keep only some of the images, and remake the projection for them."""
        # The projection closes over per-image bounds, which the base class cannot index.
        super().shrink_to(rows)
        self._project = self.threat_model.projection(self.images)

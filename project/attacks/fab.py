"""FAB, the fast adaptive boundary attack."""

from __future__ import annotations

import copy
from functools import partial
from typing import Self

import torch
from torch import Tensor, nn

from project.attacks.attack import Attack, Perturbed
from project.attacks.boundary import nearest_boundary
from project.attacks.smallest import Smallest
from project.attacks.survivors import Survivors
from project.attacks.verdict import fooled_share, query
from project.attacks.wrong_class import wrong_class
from project.errors import InputError
from project.threat_models import Norm, norm_ball

_STRETCHES = 8


class FAB(Attack):
    """FAB-T: the smallest noise that crosses the boundary to one of the best wrong classes.

    Class after class is tried, the best first, on the images that still resist; see
    :func:`~project.attacks.boundary.nearest_boundary`. No step size is chosen and no loss is
    climbed, so a victim that hides the gradient of its loss does not hide from it. An image whose
    smallest perturbation exceeds eps is not fooled: that perturbation is projected to the ball.
    Else it is returned, or the least of eight longer ones along the same line, up to eps, of which
    the 8-bit image fools [ours]: rounding may undo what only just fools.

    Rows tell as ``rank`` which wrong class led to the image, -1 where none did.

    Source: Croce & Hein, "Minimally distorted Adversarial Examples with a Fast Adaptive Boundary
    Attack", ICML 2020, towards classes of the clean image and judged by eps as in AutoAttack
    [code].

    Args:
        eps: budget in units of the [0, 1] range; 8/255, the field's usual one.
        steps: for each class, 100 as in the code.
        norm: ``linf`` or ``l2``; an L2 budget is over all values of an image (0.5 or more).
        classes: how many wrong classes at most, 9 as in the code.
        seed: the key of all draws (none is made).
    """

    kind = "gradient"
    targeted = False

    def __init__(
        self,
        eps: float = 8 / 255,
        steps: int = 100,
        norm: Norm = "linf",
        classes: int = 9,
        seed: int = 0,
    ) -> None:
        norm_ball(norm, eps)
        if steps < 1 or classes < 1:
            raise InputError(f"steps and classes must be at least 1, got {steps} and {classes}.")
        self.eps = eps
        self.steps = steps
        self.norm = norm
        self.classes = classes
        self.seed = seed

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Try class after class."""
        require_labels(target, self.name)
        survivors = Survivors(victim, images, target, index, self.targeted)
        for rank in range(1, min(self.classes, survivors.logits.shape[1] - 1) + 1):
            survivors.face(partial(self._towards, victim, rank), rank)
        return survivors.result("rank")

    def scaled(self, factor: float) -> Self:
        """Return the same attack with ``factor`` times its budget."""
        scaled = copy.copy(self)
        scaled.eps = factor * self.eps
        return scaled

    def _towards(
        self, victim: nn.Module, rank: int, images: Tensor, labels: Tensor, index: Tensor
    ) -> Perturbed:
        with torch.no_grad():
            wanted = wrong_class(query(victim, images, labels), labels, rank)
        found = nearest_boundary(victim, images, labels, wanted, self.norm, self.steps)
        return self._saved(victim, images, labels, found)

    def _saved(
        self, victim: nn.Module, images: Tensor, labels: Tensor, found: Smallest
    ) -> Perturbed:
        """Return the least of several lengths, inside the ball, whose 8-bit image fools."""
        ball, best = norm_ball(self.norm, self.eps), Smallest(images, share=1.0)
        longest = (self.eps / found.size.clamp(min=1e-12)).clamp(min=1)
        for number in range(_STRETCHES + 1):
            length = 1 + (longest - 1) * number / _STRETCHES
            tried = ball.project(images, found.perturbation * length.view(-1, 1, 1, 1))
            rounded = ball.round(images, ball.apply(images, tried))
            with torch.no_grad():
                fooled = fooled_share(query(victim, rounded, labels), labels, targeted=False)
            best.keep(number, tried, ball.size(tried), fooled.float())
        float_images = ball.apply(images, best.perturbation)
        return Perturbed(
            images=ball.round(images, float_images),
            float_images=float_images,
            perturbation=best.perturbation,
            steps=found.steps,
            threat_model=ball,
        )


def require_labels(target: Tensor, name: str) -> None:
    """See that a target is one of a classifier.

    Raises:
        ValueError: if it has a class for each pixel.
    """
    if target.ndim > 1:
        raise InputError(
            f"{name} looks for the boundary between an image's classes, but the target has a class "
            f"for each pixel, {tuple(target.shape)}. A classifier takes class labels; attack a "
            "segmenter with SEA."
        )

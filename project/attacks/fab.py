"""FAB, the fast adaptive boundary attack."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from project.attacks.boundary import nearest_boundary
from project.attacks.class_by_class import ClassByClass
from project.attacks.core.attack import Perturbed
from project.attacks.core.query import fooled_share, query
from project.attacks.smallest import Smallest
from project.core.errors import InputError
from project.core.losses import wrong_class
from project.threat_models import norm_ball

_STRETCHES = 8


class FAB(ClassByClass):
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

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Try class after class."""
        require_labels(target, self.name)
        return super().perturb(victim, images, target, index)

    def towards(
        self, victim: nn.Module, rank: int, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Seek the boundary to one class."""
        with torch.no_grad():
            wanted = wrong_class(query(victim, images, target), target, rank)
        found = nearest_boundary(victim, images, target, wanted, self.norm, self.steps)
        return self._saved(victim, images, target, found)

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

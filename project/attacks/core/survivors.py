"""The images of a batch that still resist, attack after attack."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from project.attacks.core.attack import Perturbed
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query, resisting
from project.core.per_image import rows_of
from project.images.eight_bit import to_8bit

Search = Callable[[Tensor, Tensor, Tensor], Perturbed]
"""From images, targets and sample ids to what was found, such as a victim's ``perturb``."""


class Survivors:
    """For each image the best of several attacks, each run only where all before it have failed.

    Better is what fools more of an image's valid elements, as an 8-bit image; of equals the first
    is kept. Images of which nothing resists from the start are left alone. An image's result does
    not depend on who else survives.

    Args:
        victim: whom to fool.
        images: (N, 3, H, W).
        target: (N,) or (N, H, W).
        index: (N,), the samples' stable ids.
        targeted: whether the target is wanted.

    Attributes:
        logits: (N, K, ...), the victim's answer to the images as they are.
        rows: (n,) int64, places of those that resist.
    """

    def __init__(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor, targeted: bool
    ) -> None:
        self._scene = images, target, index
        self._victim = victim
        self._targeted = targeted
        rounded = to_8bit(images)
        with torch.no_grad():
            self.logits = query(victim, rounded, target)
        left = resisting(self.logits, target, targeted).view(len(images), -1).any(1)
        self.rows = left.nonzero()[:, 0]
        share = torch.zeros(len(images), device=images.device)
        nothing = {
            "images": rounded,
            "float_images": images.clone(),
            "perturbation": torch.zeros_like(images),
            "steps": torch.zeros_like(target.view(len(images), -1)[:, 0]),
            "number": torch.full_like(share, -1.0),
        }
        self._best = BestSoFar(nothing, share)

    def face(self, search: Search, number: int) -> None:
        """Run a search on those that resist, and keep what is better.

        Args:
            search: what runs.
            number: by which it is told afterwards.
        """
        rows = self.rows
        if not len(rows):
            return
        images, target, index = rows_of(self._scene, rows)
        found = search(images, target, index)
        with torch.no_grad():
            logits = query(self._victim, found.images, target)
        share = fooled_share(logits, target, self._targeted).float()
        tried = {name: getattr(found, name) for name in self._best.found if name != "number"}
        tried["number"] = torch.where(share > 0, float(number), -1.0)
        self._best.offer(tried, share, rows=rows)
        self.rows = rows[share < 1]

    def result(self, name: str) -> Perturbed:
        """Return the best of each image.

        Args:
            name: of the fact that tells whose it is: the search's number, -1 where none fools any
                of the image, or the image was wrong from the start.
        """
        found = self._best.found
        return Perturbed(
            found["images"],
            found["float_images"],
            found["perturbation"],
            found["steps"],
            facts={name: found["number"]},
        )

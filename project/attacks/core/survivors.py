"""Run several attacks in turn, each only on the images that resisted all before it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query, resisting
from project.attacks.core.result import Perturbed
from project.core.per_image import rows_of
from project.images.eight_bit import to_8bit

Search = Callable[[Tensor, Tensor, Tensor], Perturbed]
"""Maps images, targets and sample ids to a result, such as an attack's ``perturb`` of a victim."""


class Survivors:
    """For each image the best of several attacks, each run only where all before it have failed.

    The better result is the one that fools more of an image's valid elements, as an 8-bit image;
    among equals the first is kept. Images of which no element resists from the start are not
    attacked. An image's result does not depend on which others survive.

    Args:
        victim: the victim under attack.
        images: (N, 3, H, W).
        target: (N,) or (N, H, W).
        index: (N,), the samples' stable ids.
        targeted: whether the victim shall predict the target.

    Attributes:
        logits: (N, K, ...), the victim's logits of the clean images, rounded to 8 bits.
        rows: (n,) int64, indices of the images that still resist.
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
        """Run a search on the images that still resist, and keep its results where they are better.

        Args:
            search: the search to run.
            number: identifies the search in :meth:`result`.
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
        """Return the best result of each image.

        Args:
            name: name of the fact that holds the number of the search which found it: -1 where
                none fools any of the image, or the image was wrong from the start.
        """
        found = self._best.found
        return Perturbed(
            found["images"],
            found["float_images"],
            found["perturbation"],
            found["steps"],
            facts={name: found["number"]},
        )

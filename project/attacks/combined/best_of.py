"""Several attacks on all images, of which each image takes the best."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from project.attacks.combined.combination import Combination, require_several
from project.attacks.combined.distance import Distance, distance_named, require_distance
from project.attacks.core.attack import Attack
from project.attacks.core.best_so_far import BestSoFar
from project.attacks.core.query import fooled_share, query
from project.attacks.core.result import Perturbed
from project.core.errors import InputError
from project.core.samples import Samples


@dataclass(frozen=True)
class BestOf(Combination):
    """For each image the attack that fools most of it and, among equals, changes it least.

    With the same flow attack on several saliency providers, each image gets the region that needs
    the least change. All attacks are run on all images. Rows hold the chosen attack as ``choice``,
    its index in the list.

    Source: [ours].
    """

    kind = "ensemble"

    attacks: Sequence[Attack]
    """Attacks, at least two, whose perturbations are of one kind (all flows, or all noise)."""
    distance: Distance = "mse"
    """Distance that measures change; see :class:`~project.attacks.Refined`."""

    def __post_init__(self) -> None:
        require_several(self, self.attacks)
        distance_named(self.distance)

    def attach(self, samples: Samples) -> None:
        """Give all attacks access to the samples, and check that the distance can be computed."""
        require_distance(self.distance)
        super().attach(samples)

    def scaled(self, factor: float) -> Self:
        """Raise ``ValueError``, since attacks of several kinds need not have one budget."""
        return Attack.scaled(self, factor)

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all attacks and choose."""
        distance_to = distance_named(self.distance)
        best: BestSoFar[dict[str, Any]] | None = None
        masked = False
        for place, attack in enumerate(self.attacks):
            found = attack.perturb(victim, images, target, index)
            with torch.no_grad():
                logits = query(victim, found.images, target)
                distance = distance_to(images, found.images)
            share = fooled_share(logits, target, self.targeted)
            masked = masked or found.mask is not None
            parts = _parts(found) | {"choice": torch.full_like(distance, place)}
            if best is None:
                best = BestSoFar(parts, distance)
            elif best.found["perturbation"].shape != found.perturbation.shape:
                raise InputError("BestOf needs perturbations of one kind, got flows and noise.")
            best.offer(parts, share, distance)
        assert best is not None
        chosen = dict(best.found)
        facts = chosen.pop("facts") | {"choice": chosen.pop("choice")}
        mask = chosen.pop("mask")
        return Perturbed(**chosen, facts=facts, mask=mask if masked else None)


def _parts(found: Perturbed) -> dict[str, Any]:
    """Return the parts of a result that are chosen image by image; no mask is a mask of ones."""
    mask = torch.ones_like(found.images[:, :1]) if found.mask is None else found.mask
    names = ("images", "float_images", "perturbation", "steps", "facts")
    return {name: getattr(found, name) for name in names} | {"mask": mask}

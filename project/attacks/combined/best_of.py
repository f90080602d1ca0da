"""Several attacks, and the best of them for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Self

import torch
from torch import Tensor, nn

from project.attacks.combined.distance import Closeness, closeness, require
from project.attacks.core.attack import Attack, Perturbed
from project.attacks.core.query import fooled_share, query
from project.core.errors import InputError
from project.core.samples import Samples


class BestOf(Attack):
    """For each image the attack that fools most of it and, among equals, changes it least.

    With the same flow attack on several saliency providers, each image gets the region that needs
    the least change. All attacks are run on all images. Rows tell which was taken as ``choice``,
    its place in the list.

    Source: [ours].

    Args:
        attacks: at least two, whose perturbations are of one kind (all flows, or all noise).
        distance: what counts as change; see :class:`~project.attacks.Refined`.
    """

    kind = "ensemble"

    def __init__(self, attacks: Sequence[Attack], distance: Closeness = "mse") -> None:
        if len(attacks) < 2:
            raise InputError(f"BestOf chooses among at least two attacks, got {len(attacks)}.")
        if len({attack.targeted for attack in attacks}) > 1:
            raise InputError("BestOf needs attacks that are all targeted or all untargeted.")
        self.attacks = attacks
        self.distance = distance
        self.targeted = attacks[0].targeted
        self.seed = attacks[0].seed
        self._distance = closeness(distance)

    def attach(self, samples: Samples) -> None:
        """Let all attacks know the data set, and see that the distance can be had."""
        require(self.distance)
        for attack in self.attacks:
            attack.attach(samples)

    def reseeded(self, seed: int) -> Self:
        """Return it with attacks of other draws."""
        reseeded = super().reseeded(seed)
        reseeded.attacks = [attack.reseeded(seed) for attack in self.attacks]
        return reseeded

    def perturb(
        self, victim: nn.Module, images: Tensor, target: Tensor, index: Tensor
    ) -> Perturbed:
        """Run all attacks and choose."""
        best: _Candidate | None = None
        for place, attack in enumerate(self.attacks):
            found = attack.perturb(victim, images, target, index)
            with torch.no_grad():
                logits = query(victim, found.images, target)
                distance = self._distance(images, found.images)
            share = fooled_share(logits, target, self.targeted)
            choice = torch.full_like(distance, place)
            candidate = _Candidate(found, share, distance, choice)
            best = candidate if best is None else best.or_better(candidate)
        assert best is not None
        return replace(best.found, facts=best.found.facts | {"choice": best.choice})


@dataclass(frozen=True)
class _Candidate:
    """Results for a batch, and what they are worth: share, distance and choice, (N,) each."""

    found: Perturbed
    share: Tensor
    distance: Tensor
    choice: Tensor

    def or_better(self, other: _Candidate) -> _Candidate:
        """Return, image by image, the other where it is better, else this."""
        closer = (other.share == self.share) & (other.distance < self.distance)
        better = (other.share > self.share) | closer

        def chosen(mine: Tensor, others: Tensor) -> Tensor:
            return torch.where(better.view(-1, *[1] * (mine.ndim - 1)), others, mine)

        mine, others = self.found, other.found
        if mine.perturbation.shape != others.perturbation.shape:
            raise InputError("BestOf needs perturbations of one kind, got flows and noise.")
        common = mine.facts.keys() & others.facts.keys()
        return _Candidate(
            Perturbed(
                images=chosen(mine.images, others.images),
                float_images=chosen(mine.float_images, others.float_images),
                perturbation=chosen(mine.perturbation, others.perturbation),
                steps=chosen(mine.steps, others.steps),
                facts={name: chosen(mine.facts[name], others.facts[name]) for name in common},
                mask=_mixed(mine.mask, others.mask, mine.images, chosen),
            ),
            share=chosen(self.share, other.share),
            distance=chosen(self.distance, other.distance),
            choice=chosen(self.choice, other.choice),
        )


def _mixed(
    mine: Tensor | None,
    others: Tensor | None,
    images: Tensor,
    chosen: Callable[[Tensor, Tensor], Tensor],
) -> Tensor | None:
    """Choose among masks; where only one side has any, the other's is open everywhere."""
    if mine is None and others is None:
        return None
    everywhere = torch.ones_like(images[:, :1])
    return chosen(everywhere if mine is None else mine, everywhere if others is None else others)

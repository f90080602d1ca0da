"""One adversarial batch out of several."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from project.attacks import Attack
from project.attacks.core.attack import frozen
from project.attacks.core.query import fooled_share, query
from project.core.losses import cross_entropy, mean_over_valid, valid_elements
from project.data.batch import Batch

Harm = Callable[[Tensor, Tensor], Tensor]
"""From logits (N, K, …) and target (N, …) to how bad each image is for the victim, (N,)."""


def mean_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Return each image's mean cross-entropy over its valid elements, (N,)."""
    return mean_over_valid(cross_entropy(logits, target), valid_elements(target))


def share_wrong(logits: Tensor, target: Tensor) -> Tensor:
    """Return the share of each image's valid elements that is wrong, (N,)."""
    return fooled_share(logits, target, targeted=False)


def attacked(victim: nn.Module, batch: Batch, attacks: list[Attack]) -> list[Tensor]:
    """Return each attack's adversarial images of a batch, (N, 3, H, W)."""
    images, target, index = batch["image"], batch["target"], batch["index"]
    return [attack(victim, images, target, index) for attack in attacks]


def worst_of(candidates: list[Tensor], victim: nn.Module, target: Tensor, harm: Harm) -> Tensor:
    r"""Choose for each image the candidate of the greatest harm: $$\max_k L(f(x'_k), y)$$.

    Source: Tramèr & Boneh, "Adversarial Training and Robustness for Multiple Perturbations",
    NeurIPS 2019, the "max" strategy [paper].

    Args:
        candidates: at least one batch of adversarial images (N, 3, H, W); a single one is returned
            without a forward pass.
        victim: asked in eval mode, without gradient, and left as it was.
        target: (N,) or (N, H, W).
        harm: of which the greatest counts; among equals the first candidate is taken.

    Returns:
        (N, 3, H, W).
    """
    if len(candidates) == 1:
        return candidates[0]
    with torch.no_grad(), frozen(victim):
        harms = torch.stack([harm(query(victim, images, target), target) for images in candidates])
    rows = torch.arange(len(target), device=harms.device)
    return torch.stack(candidates)[harms.argmax(0), rows]


def all_of(candidates: list[Tensor], batch: Batch) -> Batch:
    r"""Repeat the batch once per candidate, so that a mean is $$\frac{1}{K} \sum_k L(f(x'_k), y)$$.

    Source: Tramèr & Boneh, NeurIPS 2019, the "avg" strategy [paper].

    Args:
        candidates: K batches of adversarial images (N, 3, H, W).
        batch: what they were made from.

    Returns:
        {image, target, index, adversarial} of K · N samples, candidate after candidate.
    """
    repeated = {name: torch.cat([values] * len(candidates)) for name, values in batch.items()}
    return repeated | {"adversarial": torch.cat(candidates)}

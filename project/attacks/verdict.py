"""Asking a victim, and judging its answer."""

from __future__ import annotations

from torch import Tensor, nn

from project.core.errors import InputError
from project.core.losses import mean_over_valid, predicted_classes, valid_elements


def query(victim: nn.Module, images: Tensor, target: Tensor) -> Tensor:
    """Return a victim's logits, of a shape that fits the target.

    Args:
        victim: from images to logits.
        images: (N, 3, H, W) in [0, 1].
        target: (N,) or (N, H, W).

    Returns:
        (N, K) or (N, K, H, W).

    Raises:
        ValueError: if the logits have another shape than the target asks for.
    """
    logits: Tensor = victim(images)
    if logits.ndim != target.ndim + 1 or (len(logits), *logits.shape[2:]) != target.shape:
        wanted = ", ".join(["N", "K", *map(str, target.shape[1:])])
        raise InputError(
            f"the victim must return logits ({wanted}) for a target {tuple(target.shape)}, got "
            f"{tuple(logits.shape)}. A classifier takes class labels, a segmenter takes masks of "
            "the size of its logits."
        )
    return logits


def resisting(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return where the attack has not reached its aim: still correct, or not yet the target class.

    Args:
        logits: (N, K, ...).
        target: (N, ...), the labels, or the wanted classes where ``targeted``.
        targeted: whether the attack wants the target predicted.

    Returns:
        bool, of the target's shape, False where the target is void.
    """
    hit = predicted_classes(logits) == target
    return (~hit if targeted else hit) & valid_elements(target)


def fooled_share(logits: Tensor, target: Tensor, targeted: bool) -> Tensor:
    """Return the share of each image's valid elements at which the attack reached its aim.

    Returns:
        (N,) in [0, 1]: for a classifier 0 or 1; 0 for an image that is void everywhere.
    """
    reached = ~resisting(logits, target, targeted)
    return mean_over_valid(reached.float(), valid_elements(target))

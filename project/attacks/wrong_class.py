"""The wrong classes, best first."""

from __future__ import annotations

from torch import Tensor

from project.losses import valid_elements


def wrong_class(logits: Tensor, target: Tensor, rank: int) -> Tensor:
    """Return the class of the rank-th largest logit among all but the label's.

    Args:
        logits: (N, K, ...).
        target: (N, ...) labels; where void, any class may be returned.
        rank: 1 … K - 1.

    Returns:
        int64, of the target's shape.
    """
    labels = target.where(valid_elements(target), 0).unsqueeze(1)
    others = logits.scatter(1, labels, float("-inf"))
    return others.topk(rank, 1).indices[:, rank - 1]

"""Element-wise losses, for classification (N,) and segmentation (N, H, W) alike.

Convention
    logits  (N, K) or (N, K, H, W)
    target  (N,) or (N, H, W), int64; in pixel targets 255 is void and counts nowhere
    losses  of the target's shape, 0 where the target is void
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

VOID = 255


def valid_elements(target: Tensor) -> Tensor:
    """Return the mask of elements that are not void; image labels are always valid, even 255.

    Args:
        target: (N,) classes or (N, H, W) pixel classes with 255 = void.

    Returns:
        bool, of the target's shape.
    """
    return target != VOID if target.ndim > 1 else torch.ones_like(target, dtype=torch.bool)


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return -log softmax(logits)[target], element by element, 0 where the target is void."""
    # Class targets have no void: 255 may be a class there, so another value is ignored.
    ignored = VOID if target.ndim > 1 else -100
    return F.cross_entropy(logits, target, reduction="none", ignore_index=ignored)


def margin(logits: Tensor, target: Tensor) -> Tensor:
    r"""Return the target's lead over the best other class, 0 where the target is void.

    $$z_y - \max_{k \ne y} z_k$$: positive while the target is predicted.

    Source: Carlini & Wagner, "Towards Evaluating the Robustness of Neural Networks", S&P 2017,
    loss f6 [paper].
    """
    valid = valid_elements(target)
    chosen = target.where(valid, target.new_zeros(())).unsqueeze(1)
    own = logits.gather(1, chosen).squeeze(1)
    other = logits.scatter(1, chosen, float("-inf")).amax(1)
    return (own - other).where(valid, own.new_zeros(()))


@torch.no_grad()
def kl_divergence(logits: Tensor, reference: Tensor) -> Tensor:
    r"""Return $$KL(p \| q)$$ of p = softmax(logits), q = softmax(reference) over the class axis.

    Computed without gradient, in place, which halves the memory traffic; it serves comparisons with
    a threshold, which need no gradient.

    Args:
        logits: (N, K, ...).
        reference: of the same shape.

    Returns:
        (N, ...), at least 0 up to rounding.
    """
    log_p = F.log_softmax(logits, 1)
    difference = F.log_softmax(reference, 1).neg_().add_(log_p)
    return log_p.exp_().mul_(difference).sum(1)


def differentiable_kl(logits: Tensor, reference: Tensor) -> Tensor:
    r"""Return $$KL(p \| q)$$ like :func:`kl_divergence`, with gradient to both, in full precision.

    For equal logits, value and gradient are 0; half precision would leave noise in both.
    """
    log_p = F.log_softmax(full_precision(logits), 1)
    log_q = F.log_softmax(full_precision(reference), 1)
    return (log_p.exp() * (log_p - log_q)).sum(1)


def full_precision(logits: Tensor) -> Tensor:
    """Return half-precision logits as float32, for differences that cancel leading digits."""
    return logits.to(torch.promote_types(logits.dtype, torch.float32))


def mean_over_valid(values: Tensor, valid: Tensor) -> Tensor:
    """Average each image over its valid elements.

    Args:
        values: (N, ...).
        valid: bool, of the same shape.

    Returns:
        (N,), 0 for an image without any valid element.
    """
    kept = values.masked_fill(~valid, 0)
    if values.ndim == 1:
        return kept
    return kept.flatten(1).sum(1) / valid.flatten(1).sum(1).clamp(min=1)


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

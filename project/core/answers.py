"""Which of a victim's answers are predictions: the one rule for non-finite logits.

An image (of a segmenter, a pixel) with any NaN or infinite logit has no prediction: it is neither
right nor wrong, neither fooled nor robust. It is counted and named, and stands in no rate; to an
attack it is never a success. The usual cause is half precision, whose largest number is 65504; and
``argmax`` of NaN is class 0, which would pass for a prediction.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

NO_PREDICTION = -1
"""Stands where a class would, if there is no prediction."""


def answered(logits: Tensor) -> Tensor:
    """Return where all logits are finite, bool (N, ...), of logits (N, K, ...)."""
    # NaN wins both comparisons, so both extremes are finite exactly where all values are. On a CPU
    # this takes a sixth of the time of isfinite().all(1).
    return logits.amin(1).isfinite() & logits.amax(1).isfinite()


def predicted_classes(logits: Tensor) -> Tensor:
    """Return the class of the largest logit, the first of ties: a faster ``logits.argmax(1)``.

    On a CPU, torch's argmax over any but the last axis takes twice as long as the forward and
    backward pass of the cross-entropy; comparing with the maximum takes a third of that.

    Args:
        logits: (N, K, ...), K below 2^15.

    Returns:
        int16 (N, ...); :data:`NO_PREDICTION` where any logit is NaN or infinite.
    """
    count = logits.shape[1]
    # The first class has the highest rank, so that it wins among equal logits.
    rank = torch.arange(count, 0, -1, dtype=torch.int16, device=logits.device)
    rank = rank.view(1, -1, *[1] * (logits.ndim - 2))
    largest = logits.amax(1, keepdim=True)
    leading = (logits == largest) * rank
    finite = largest.squeeze(1).isfinite() & logits.amin(1).isfinite()
    return (count - leading.amax(1)).masked_fill_(~finite, NO_PREDICTION)


class Answers(NamedTuple):
    """What is judged of a victim's logits on a batch.

    Attributes:
        classes: int16 (N, …), see :func:`predicted_classes`.
        confidence: (N,) float, the probability of each image's true class; None of segmenters.
    """

    classes: Tensor
    confidence: Tensor | None


def answers_of(logits: Tensor, target: Tensor) -> Answers:
    """Return what is judged of logits (N, K, …), with the true classes (N, …)."""
    confidence = None
    if logits.ndim == 2:
        confidence = logits.float().softmax(1).gather(1, target[:, None]).squeeze(1)
    return Answers(predicted_classes(logits), confidence)

"""Segmentation quality from one confusion matrix over the whole data set, void pixels left out.

Convention
    confusion   (K, K) int64; row = true class, column = predicted class; counts of valid pixels
    void        label 255: neither right nor wrong, in no count
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from project.losses import VOID


class Confusion(MulticlassConfusionMatrix):
    """Confusion matrix summed over images and processes; ``compute`` gives it as (K, K) int64.

    Args:
        num_classes: K, at most 255.
    """

    def __init__(self, num_classes: int) -> None:
        # Validation by torchmetrics sorts every pixel; the check in update does not.
        super().__init__(num_classes=num_classes, ignore_index=VOID, validate_args=False)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K, H, W) scores, or (N, H, W) int64 predicted classes.
            target: (N, H, W) int64 in 0 … K-1, or 255 for void.

        Raises:
            ValueError: if a label or a predicted class is neither a class nor, for labels, void.
        """
        prediction = logits.argmax(1) if logits.ndim == target.ndim + 1 else logits
        self._check_classes("labels", target[target != VOID])
        self._check_classes("predicted classes", prediction)
        super().update(prediction, target)

    def _check_classes(self, what: str, classes: Tensor) -> None:
        if classes.numel() == 0:
            return
        low, high = (int(end) for end in classes.aminmax())
        if low < 0 or high >= self.num_classes:
            raise ValueError(
                f"{what} must lie in 0 … {self.num_classes - 1} (255 is void), got {low} … {high}. "
                "Map the data set's labels to the victim's classes."
            )


def class_iou(confusion: Tensor) -> Tensor:
    """Return each class's intersection over union.

    TP / (TP + FP + FN) over all valid pixels of the data set.

    Args:
        confusion: (K, K) counts, row = true class.

    Returns:
        (K,) float64 in [0, 1]; NaN for a class that is neither present nor predicted.
    """
    counts = confusion.to("cpu", torch.float64)
    intersection = counts.diagonal()
    union = counts.sum(0) + counts.sum(1) - intersection
    return intersection / union


def mean_iou(confusion: Tensor) -> float:
    """Return the mean IoU over the classes with a non-zero union, NaN if there is none.

    Args:
        confusion: (K, K) counts, row = true class.
    """
    return float(class_iou(confusion).nanmean())


def pixel_accuracy(confusion: Tensor) -> float:
    """Return the share of valid pixels that are predicted right, NaN if none is valid.

    Args:
        confusion: (K, K) counts, row = true class.
    """
    counts = confusion.to("cpu", torch.float64)
    return float(counts.diagonal().sum() / counts.sum())

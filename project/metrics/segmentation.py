"""Segmentation quality from one confusion matrix over the whole data set, without void pixels.

Convention
    confusion   (K, K) int64; row = true class, column = predicted class; counts of valid pixels
    void        label 255: neither right nor wrong, in no count
    counts      (N, 3, K) int64; pixels predicted right, predicted, labelled; see pixel_counts
"""

from __future__ import annotations

import torch
from torch import Tensor
from torchmetrics.classification import MulticlassConfusionMatrix

from project.core.answers import NO_PREDICTION, predicted_classes
from project.core.losses import VOID
from project.statistics.miou import mean_iou as mean_iou_of_counts


class Confusion(MulticlassConfusionMatrix):
    """A confusion matrix summed over images and processes; ``compute`` returns (K, K) int64.

    Args:
        num_classes: K, at most 255.
    """

    def __init__(self, num_classes: int) -> None:
        # Validation by torchmetrics sorts every pixel; the check in update does not.
        super().__init__(num_classes=num_classes, ignore_index=VOID, validate_args=False)

    def update(self, logits: Tensor, target: Tensor) -> None:
        """Add a batch.

        Args:
            logits: (N, K, H, W) scores, or (N, H, W) int64 predicted classes; where there is no
                prediction (:mod:`project.core.answers`), a pixel is in no count.
            target: (N, H, W) int64 in 0 … K-1, or 255 for void.

        Raises:
            ValueError: if a label or a predicted class is neither a class nor, for labels, void.
        """
        scores = logits.ndim == target.ndim + 1
        prediction = predicted_classes(logits).long() if scores else logits
        _check(prediction, target, self.num_classes)
        lost = prediction == NO_PREDICTION
        super().update(prediction.masked_fill(lost, 0), target.masked_fill(lost, VOID))


def class_counts(prediction: Tensor, target: Tensor, num_classes: int) -> Tensor:
    """Count each image's valid pixels by class, (N, 3, K) int64: right, predicted, labelled.

    Args:
        prediction: (N, H, W) int64 classes, or :data:`~project.core.answers.NO_PREDICTION`: such
            pixels are in no count.
        target: (N, H, W) int64 in 0 … K-1, or 255 for void.
        num_classes: K.

    Raises:
        ValueError: if a label or a predicted class is neither a class nor, for labels, void.
    """
    _check(prediction, target, num_classes)
    count, valid = len(target), (target != VOID) & (prediction != NO_PREDICTION)
    first = num_classes * torch.arange(count, device=target.device).view(-1, 1, 1)

    def by_class(classes: Tensor, among: Tensor) -> Tensor:
        places = (first + classes)[among]
        return torch.bincount(places, minlength=count * num_classes).view(count, num_classes)

    right = by_class(target, valid & (prediction == target))
    return torch.stack([right, by_class(prediction, valid), by_class(target, valid)], 1)


def _check(prediction: Tensor, target: Tensor, num_classes: int) -> None:
    labels = target[target != VOID]
    for what, classes in (("labels", labels), ("predicted classes", prediction)):
        low, high = classes.aminmax() if classes.numel() else (0, 0)
        least = NO_PREDICTION if classes is prediction else 0
        if low < least or high >= num_classes:
            raise ValueError(
                f"{what} must lie in 0 … {num_classes - 1} (255 is void), got {int(low)} … "
                f"{int(high)}. Map the data set's labels to the victim's classes."
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
    counts = torch.stack([confusion.diagonal(), confusion.sum(0), confusion.sum(1)])
    return float(mean_iou_of_counts(counts.cpu().numpy()))


def pixel_accuracy(confusion: Tensor) -> float:
    """Return the share of valid pixels that are predicted right, NaN if none is valid.

    Args:
        confusion: (K, K) counts, row = true class.
    """
    counts = confusion.to("cpu", torch.float64)
    return float(counts.diagonal().sum() / counts.sum())

"""Objectives of SEA: masked cross-entropy, and masked cross-entropy balanced over classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step, weighted_split
from project.core.errors import InputError
from project.core.losses import mean_over_valid


@dataclass(frozen=True)
class MaskedCrossEntropy(Objective):
    r"""Attack only the pixels that still resist: $$\frac{1}{N} \sum_{P_T} CE_i$$.

    P_T are the pixels still correct or, where targeted, not yet at their target; N counts all
    valid pixels, so that the loss vanishes as the aim is reached.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, "Mask-CE" [code]; targeted [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the cross-entropy of the resisting elements over N, (N,)."""
        return weighted_split(step, step.resisting, 0.0)


@dataclass(frozen=True)
class BalancedCrossEntropy(Objective):
    r"""Attack the pixels that still resist, with a weight for each class of the target.

    $$\frac{1}{N} \sum_{P_T} w_{y_i} CE_i$$, P_T still correct or, where targeted, not yet at the
    target. A small class counts in the mIoU as much as a large one. By default
    $$w_c = N / (C\, n_c)$$ with C the number of classes in the image's target and n_c the pixels
    of class c: the mean over classes of each class's own mean. An image of one class, and so every
    target of a classifier, is the masked cross-entropy.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, "Mask-CE-Balanced", there with weights of a whole data set
    [code]; weights of each image [ours]: they need no data set.
    """

    class_weights: Sequence[float] | None = None
    """Weights w, one for each of the K classes, at least 0; None computes them for each image."""

    def __post_init__(self) -> None:
        if self.class_weights is not None and not all(weight >= 0 for weight in self.class_weights):
            raise InputError(f"class_weights must be at least 0, got {list(self.class_weights)}.")

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy of the resisting elements over N, (N,)."""
        labels = step.target.masked_fill(~step.valid, 0).reshape(len(step.target), -1)
        weights = self._weights(step, labels).gather(1, labels).view_as(step.target)
        return mean_over_valid(step.cross_entropy * weights * step.resisting, step.valid)

    def _weights(self, step: Step, labels: Tensor) -> Tensor:
        """Return the weight w of every class, (N, K)."""
        images, classes = step.logits.shape[:2]
        if self.class_weights is None:
            counts = labels.new_zeros(images, classes)
            counts.scatter_add_(1, labels, step.valid.view_as(labels).long())
            return _alike(counts.to(step.cross_entropy))
        if len(self.class_weights) != classes:
            raise InputError(
                f"class_weights must give one weight for each of the victim's {classes} classes, "
                f"got {len(self.class_weights)}."
            )
        weights = torch.tensor(self.class_weights).to(step.cross_entropy, non_blocking=True)
        return weights.expand(images, -1)


def _alike(counts: Tensor) -> Tensor:
    """Return weights N / (C · n_c) from the classes' counts n_c, (N, K), 0 for absent classes."""
    present = counts > 0
    weights = counts.sum(1, keepdim=True) / (present.sum(1, keepdim=True) * counts.clamp(min=1))
    return weights.masked_fill(~present, 0)

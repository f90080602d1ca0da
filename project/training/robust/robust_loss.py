"""The base class of robust losses."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from project.core.losses import valid_elements
from project.data.loader import Batch
from project.training.batch_norm import Kind


@dataclass(frozen=True)
class Learner:
    """The parts of a training that a robust loss may use.

    Attributes:
        answer: returns the victim's logits (N, K, …) of images (N, 3, H, W) of one kind, with
            gradient to the parameters; each call is one training forward pass, and how it moves
            BatchNorm's statistics follows from the kind and the training's policy.
        criterion: returns the mean loss of logits (N, K, …) for a target (N, …), a scalar; over
            valid elements.
        victim: the victim, whose weights ``answer`` uses.
        epoch: the training's epoch, from 0.
    """

    answer: Callable[[Tensor, Kind], Tensor]
    criterion: Callable[[Tensor, Tensor], Tensor]
    victim: nn.Module
    epoch: int


class RobustLoss(ABC):
    """A loss of a batch {image, target, adversarial}."""

    @abstractmethod
    def __call__(self, learner: Learner, batch: Batch) -> Tensor:
        """Return the scalar to minimise."""


def valid_mean(values: Tensor, target: Tensor) -> Tensor:
    """Return the mean over the batch's valid elements, as in the criteria; 0 without any.

    Args:
        values: (N, …), one per element.
        target: of the same shape, whose label 255 marks void elements.

    Returns:
        Scalar; void elements get gradient 0.
    """
    valid = valid_elements(target)
    return values.masked_fill(~valid, 0).sum() / valid.sum().clamp(min=1)

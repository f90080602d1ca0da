"""The loss on adversarial images, with or without clean ones."""

from __future__ import annotations

from torch import Tensor

from project.core.errors import InputError
from project.data.loader import Batch
from project.training.robust.robust_loss import Learner, RobustLoss


class AdversarialLoss(RobustLoss):
    r"""The training's own loss on adversarial images: $$(1 - w)\, L(x') + w\, L(x)$$.

    Source: Madry et al., "Towards Deep Learning Models Resistant to Adversarial Attacks",
    ICLR 2018, for w = 0 [paper]; mixed batches: Goodfellow et al., "Explaining and Harnessing
    Adversarial Examples", ICLR 2015, with w = 0.5 [paper].

    Args:
        clean_weight: w, in [0, 1).
    """

    def __init__(self, clean_weight: float = 0.0) -> None:
        if not 0 <= clean_weight < 1:
            raise InputError(
                f"clean_weight must be in [0, 1), got {clean_weight}. To train on clean images "
                "alone leave the robust loss out."
            )
        self.clean_weight = clean_weight

    def __call__(self, learner: Learner, batch: Batch) -> Tensor:
        """Return the weighted mean of both losses; without a clean pass if its weight is 0."""
        target = batch["target"]
        loss = learner.criterion(learner.answer(batch["adversarial"], "adversarial"), target)
        if not self.clean_weight:
            return loss
        clean = learner.criterion(learner.answer(batch["image"], "clean"), target)
        return (1 - self.clean_weight) * loss + self.clean_weight * clean

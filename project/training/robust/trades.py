"""TRADES: a trade-off between clean accuracy and robustness."""

from __future__ import annotations

from torch import Tensor

from project.core.errors import InputError
from project.core.losses import differentiable_kl
from project.data.loader import Batch
from project.training.robust.robust_loss import Learner, RobustLoss, valid_mean


class TRADES(RobustLoss):
    r"""Trade accuracy for robustness: $$L(x, y) + \beta \cdot KL(f(x) \,\|\, f(x'))$$.

    L is the training's own criterion on clean images, the paper's cross-entropy unless the
    training smooths labels or adds Dice. The second term is a mean over valid elements, and its
    gradient flows through both predictions. Attack with
    :class:`~project.attacks.KullbackLeibler`, which is that term; any other attack will do too.

    Source: Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy",
    ICML 2019, eq. (5) with β = 1/λ [paper]; mean over the batch, not over classes, and gradient
    through both [code]; the mean over pixels [ours].

    Args:
        beta: β, the weight of stability, at least 0; 6 is the paper's for CIFAR-10, beside 1.
    """

    def __init__(self, beta: float = 6.0) -> None:
        if not beta >= 0:
            raise InputError(f"beta must be at least 0, got {beta}.")
        self.beta = beta

    def __call__(self, learner: Learner, batch: Batch) -> Tensor:
        """Return the sum of the clean loss and the weighted divergence."""
        target = batch["target"]
        clean = learner.answer(batch["image"], "clean")
        adversarial = learner.answer(batch["adversarial"], "adversarial")
        instability = valid_mean(differentiable_kl(clean, adversarial), target)
        return learner.criterion(clean, target) + self.beta * instability

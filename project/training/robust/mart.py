"""MART: misclassification-aware adversarial training."""

from __future__ import annotations

import torch
from torch import Tensor

from project.core.errors import InputError
from project.core.losses import cross_entropy, differentiable_kl, full_precision, valid_elements
from project.data.loader import Batch
from project.training.robust.robust_loss import Learner, RobustLoss, valid_mean


class MART(RobustLoss):
    r"""Weigh misclassified clean images most: $$BCE(x') + \beta \cdot KL \cdot (1 - p_y(x))$$.

    $$BCE(x') = -\log p_y(x') - \log(1 - \max_{k \ne y} p_k(x'))$$, KL = KL(f(x) ‖ f(x')); a mean
    over valid elements. The boosted cross-entropy takes the place of the training's own
    criterion: neither label smoothing nor Dice has a part in it. The gradient flows through all
    terms, the weight 1 - p_y(x) included.

    Source: Wang et al., "Improving Adversarial Robustness Requires Revisiting Misclassified
    Examples", ICLR 2020, eq. (11) [paper]; gradient through all terms [code]. The code keeps
    logarithms finite by adding 1e-4 and 1e-12; here they are computed from logits, which needs no
    such thing [ours]. The mean over pixels [ours].

    Args:
        beta: the paper's λ, at least 0; 5 in the paper, 6 the default of its code.
    """

    def __init__(self, beta: float = 5.0) -> None:
        if not beta >= 0:
            raise InputError(f"beta must be at least 0, got {beta}.")
        self.beta = beta

    def __call__(self, learner: Learner, batch: Batch) -> Tensor:
        """Return the mean loss."""
        target = batch["target"]
        clean = learner.answer(batch["image"], "clean")
        adversarial = learner.answer(batch["adversarial"], "adversarial")
        doubt = -(-cross_entropy(full_precision(clean), target)).expm1()  # 1 - p_y(x)
        losses = boosted_cross_entropy(adversarial, target)
        losses = losses + self.beta * differentiable_kl(clean, adversarial) * doubt
        return valid_mean(losses, target)


def boosted_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    r"""Return $$-\log p_y - \log(1 - \max_{k \ne y} p_k)$$ of each element, (N, …).

    $$\log(1 - p_k)$$ is the log-sum-exp of the log-probabilities of all classes but k: exact
    where p_k is 1 up to rounding, and with a finite gradient.

    Args:
        logits: (N, K, …).
        target: (N, …).
    """
    log_p = torch.log_softmax(full_precision(logits), 1)
    own = target.where(valid_elements(target), 0).unsqueeze(1)
    rival = log_p.detach().scatter(1, own, -torch.inf).argmax(1, keepdim=True)
    others = log_p.scatter(1, rival, -torch.inf).logsumexp(1)
    return -log_p.gather(1, own).squeeze(1) - others

"""Objectives of difference-of-logits ratio (DLR): away from the label, and towards a class."""

from dataclasses import dataclass

import torch
from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step
from project.core.errors import InputError
from project.core.losses import margin, mean_over_valid, wrong_class


@dataclass(frozen=True)
class DLR(Objective):
    r"""Mean difference-of-logits ratio, which does not change with the logits' scale or offset.

    $$\frac{\max_{k \ne y} z_k - z_y}{z_{\pi_1} - z_{\pi_3}}$$, z_{π_i} the i-th largest logit, and
    where targeted the same lead over $$z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2$$. So a confident
    victim, whose cross-entropy is flat, has a gradient like any other.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020 [code]; there a targeted attack knows the true class too,
    here the best class beside the target stands for it [port]. The mean over pixels is [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean ratio, (N,).

        Raises:
            ValueError: if the victim has fewer classes than the ratio needs.
        """
        lead = margin(step.logits, step.target)
        return -mean_over_valid(lead / logit_spread(step.logits, step.targeted), step.valid)


def logit_spread(logits: Tensor, targeted: bool) -> Tensor:
    """Return how far the largest logit is above the third, or the mean of third and fourth.

    Args:
        logits: (N, K, ...).
        targeted: whether to take the mean of third and fourth.

    Returns:
        (N, ...), greater than 0, with gradient.

    Raises:
        ValueError: if there are fewer classes than the ratio needs.
    """
    needed = 4 if targeted else 3
    if logits.shape[1] < needed:
        raise InputError(
            f"the difference-of-logits ratio needs a victim of at least {needed} classes where "
            f"targeted is {targeted}, got {logits.shape[1]}. Take Margin or CrossEntropy instead."
        )
    largest = logits.topk(needed, 1).values
    return largest[:, 0] - largest[:, 2:].mean(1) + 1e-12


@dataclass(frozen=True)
class DLRTowards(Objective):
    r"""Mean lead over the label of one wrong class, in units of the logits' spread.

    $$\frac{z_t - z_y}{z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2}$$, z_{π_i} the i-th largest logit,
    t the rank-th best wrong class of the clean image. The attack is still untargeted: any wrong
    class counts as success.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, the targeted ratio [code]. It needs four classes, and that
    code warns of fewer; here three have the untargeted ratio's spread, $$z_{\pi_1} - z_{\pi_3}$$,
    and two have none: the lead itself [ours]. The mean over pixels is [ours].
    """

    rank: int = 1
    """Rank of class t among the wrong classes, 1 … K - 1; 1 is the best wrong class."""

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"rank must be at least 1, the best wrong class, got {self.rank}.")

    def __call__(self, step: Step) -> Tensor:
        """Return the mean ratio, (N,)."""
        label = step.target.masked_fill(~step.valid, 0)
        wanted = wrong_class(step.clean_logits(), step.target, self.rank)
        both = torch.stack([wanted, label], 1)
        lead, own = step.logits.gather(1, both).unbind(1)
        return mean_over_valid((lead - own) / _spread(step.logits), step.valid)


def _spread(logits: Tensor) -> Tensor | float:
    classes = logits.shape[1]
    return 1.0 if classes == 2 else logit_spread(logits, targeted=classes > 3)

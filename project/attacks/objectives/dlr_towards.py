"""The difference-of-logits ratio towards one of the wrong classes."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.objectives.dlr import logit_spread
from project.attacks.objectives.objective import Objective
from project.attacks.step import Step
from project.core.errors import InputError
from project.core.losses import mean_over_valid, wrong_class


class DLRTowards(Objective):
    r"""Mean lead over the label of one wrong class, in units of the logits' spread.

    $$\frac{z_t - z_y}{z_{\pi_1} - (z_{\pi_3} + z_{\pi_4}) / 2}$$, z_{π_i} the i-th largest logit,
    t the rank-th best wrong class of the clean image. The label stays what is led away from: any
    wrong class counts as success.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", ICML 2020, the targeted ratio [code]. It needs four classes, and that
    code warns of fewer; here three have the untargeted ratio's spread, $$z_{\pi_1} - z_{\pi_3}$$,
    and two have none: the lead itself [ours]. The mean over pixels is [ours].

    Args:
        rank: of t, 1 … K - 1; 1 is the best wrong class.
    """

    def __init__(self, rank: int = 1) -> None:
        if rank < 1:
            raise InputError(f"rank must be at least 1, the best wrong class, got {rank}.")
        self.rank = rank

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

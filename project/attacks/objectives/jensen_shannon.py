"""The Jensen-Shannon divergence between prediction and target."""

from __future__ import annotations

import math

from torch import Tensor

from project.attacks.objectives.objective import Objective
from project.attacks.step import Step
from project.core.losses import mean_over_valid


class JensenShannon(Objective):
    r"""Mean Jensen-Shannon divergence between softmax and one-hot target.

    $$\frac{1}{N} \sum_i JS(p_i, e_{y_i})$$, in closed form
    $$JS = \log 2 + \tfrac12 \left(p_y \log p_y - (1 + p_y) \log(1 + p_y)\right)$$: from 0 at
    p_y = 1 to log 2 at p_y = 0. It is bounded and flat at both ends, so neither safe nor long lost
    pixels take the gradient for themselves; every logit's gradient is that of the cross-entropy
    times $$\tfrac12 p_y (CE + \log(1 + p_y))$$.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, "JS" [code]; the closed form [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean divergence, (N,)."""
        losses = step.cross_entropy
        own = (-losses).exp()  # p_y; p_y · log p_y stays finite, since log p_y is −CE
        divergence = math.log(2) - 0.5 * (own * losses + (1 + own) * own.log1p())
        return mean_over_valid(divergence, step.valid)

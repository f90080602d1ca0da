"""Objectives that are divergences: Jensen-Shannon and Kullback-Leibler."""

import math
from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step
from project.core.errors import InputError
from project.core.losses import differentiable_kl, mean_over_valid


@dataclass(frozen=True)
class JensenShannon(Objective):
    r"""Mean Jensen-Shannon divergence between softmax and one-hot target.

    $$\frac{1}{N} \sum_i JS(p_i, e_{y_i})$$, in closed form
    $$JS = \log 2 + \tfrac12 \left(p_y \log p_y - (1 + p_y) \log(1 + p_y)\right)$$: from 0 at
    p_y = 1 to log 2 at p_y = 0. It is bounded and flat at both ends, so neither confidently correct
    nor clearly fooled pixels dominate the gradient; every logit's gradient is that of the
    cross-entropy times $$\tfrac12 p_y (CE + \log(1 + p_y))$$.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, "JS" [code]; the closed form [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean divergence, (N,)."""
        losses = step.cross_entropy
        own = (-losses).exp()  # p_y; p_y · log p_y stays finite, since log p_y is −CE
        divergence = math.log(2) - 0.5 * (own * losses + (1 + own) * own.log1p())
        return mean_over_valid(divergence, step.valid)


@dataclass(frozen=True)
class KullbackLeibler(Objective):
    r"""Mean divergence from the clean prediction: $$\frac{1}{N} \sum_i KL(f(x)_i \| f(x')_i)$$.

    The objective of TRADES' attack. It uses no labels, only which elements are void. At the clean
    image it has its minimum, with gradient 0: an attack must start elsewhere, at random, else
    rounding errors decide its first step.

    Source: Zhang et al., "Theoretically Principled Trade-off between Robustness and Accuracy",
    ICML 2019, algorithm 1 [paper]. There an attack starts from the image plus 0.001 · N(0, 1);
    here from anywhere in the threat model, as PGD does [ours]. The mean over pixels is [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the mean divergence, (N,).

        Raises:
            ValueError: if the attack is targeted.
        """
        if step.targeted:
            raise InputError(
                "KullbackLeibler leads away from the clean prediction and looks at no target, got "
                "a targeted attack. Take CrossEntropy or Margin instead."
            )
        return mean_over_valid(differentiable_kl(step.clean_logits(), step.logits), step.valid)

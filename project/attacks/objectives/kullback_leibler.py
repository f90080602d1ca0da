"""How far a prediction is from that of the clean image."""

from __future__ import annotations

from torch import Tensor

from project.attacks.objectives.objective import Objective
from project.attacks.step import Step
from project.core.errors import InputError
from project.core.losses import differentiable_kl, mean_over_valid


class KullbackLeibler(Objective):
    r"""Mean divergence from the clean prediction: $$\frac{1}{N} \sum_i KL(f(x)_i \| f(x')_i)$$.

    What the attack of TRADES climbs. It looks at no label, only at which elements are void. At the
    clean image it has its minimum, with gradient 0: an attack must start elsewhere, at random,
    else its first step is led by rounding errors.

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

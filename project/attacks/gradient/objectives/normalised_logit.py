"""The normalised logit of SEA's released code, over the pixels that still resist."""

from dataclasses import dataclass

from torch import Tensor

from project.attacks.gradient.objectives.objective import Objective, Step
from project.core.losses import mean_over_valid


@dataclass(frozen=True)
class MaskedNormalisedLogit(Objective):
    r"""Turn the logits of the pixels that still resist away from their label.

    $$-\frac{1}{N} \sum_{P_T} \frac{z_{y_i}}{\|z_i\|_2}$$, P_T the pixels still correct. The
    logits' length does not count, so that confident pixels have a gradient too, which the
    softmax of a cross-entropy denies them. Where targeted, P_T are the pixels not yet at their
    target, and each counts 1 more: the gradient is the same, and the value falls as they arrive.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, in the released code only, "mask-norm-corrlog" [code];
    targeted [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the negative normalised logit of the resisting elements over N, (N,)."""
        labels = step.target.masked_fill(~step.valid, 0).unsqueeze(1)
        own = step.logits.gather(1, labels).squeeze(1)
        # The bound keeps the gradient finite where all logits are 0.
        away = -own / step.logits.norm(dim=1).clamp(min=1e-12)
        if step.targeted:
            away = 1 + away
        return mean_over_valid(away * step.resisting, step.valid)

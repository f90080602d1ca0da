"""The cross-entropy of what still resists."""

from __future__ import annotations

from torch import Tensor

from project.attacks.objectives.objective import Objective, weighted_split
from project.attacks.step import Step


class MaskedCrossEntropy(Objective):
    r"""Attack only the pixels that still resist: $$\frac{1}{N} \sum_{P_T} CE_i$$.

    P_T are the pixels still correct or, where targeted, not yet at their target; N counts all
    valid pixels, so that the loss falls silent as the aim is reached.

    Source: Croce et al., "Towards Reliable Evaluation and Fast Training of Robust Semantic
    Segmentation Models", ECCV 2024, "Mask-CE" [code]; targeted [ours].
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the cross-entropy of the resisting elements over N, (N,)."""
        return weighted_split(step, step.resisting, 0.0)

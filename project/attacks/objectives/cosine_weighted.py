"""CosPGD's objective."""

from __future__ import annotations

from torch import Tensor

from project.attacks.objectives.objective import Objective
from project.attacks.step import Step
from project.core.losses import mean_over_valid


class CosineWeighted(Objective):
    r"""Weigh pixels by how closely the prediction points at the label.

    $$\frac{1}{N} \sum_i \cos(p_i, e_{y_i})\, CE_i,\quad \cos(p, e_y) = p_y / \|p\|_2$$, p the
    softmax. A pixel counts less and less while it is led away from its label. Where targeted, the
    weight is 1 − cos: what is not yet at its target counts most.

    Source: Agnihotri et al., "CosPGD: an efficient white-box adversarial attack for pixel-wise
    prediction tasks", ICML 2024 [paper]; the targeted weight [code]; one-hot vectors are never
    made: their cosine is p_y / ‖p‖.
    """

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy, (N,)."""
        losses = step.cross_entropy
        length = step.logits.detach().softmax(1).square().sum(1).sqrt()
        cosine = (-losses.detach()).exp() / length
        weight = 1 - cosine if step.targeted else cosine
        return mean_over_valid(weight * losses, step.valid)

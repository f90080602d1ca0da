"""SegPGD's objective."""

from __future__ import annotations

from torch import Tensor

from project.attacks.objectives.objective import Objective, weighted_split
from project.attacks.step import Step


class AdversarialSplit(Objective):
    r"""Weigh pixels by whether they are fooled yet, shifting from the correct to the wrong ones.

    $$\frac{1-\lambda_t}{N} \sum_{P_T} CE_i + \frac{\lambda_t}{N} \sum_{P_F} CE_i,\quad
    \lambda_t = \frac{t-1}{2T}$$, P_T still correct, P_F already wrong.

    Source: Gu et al., "SegPGD", ECCV 2022, eq. (4) and algorithm 1 [paper].
    """

    stationary = False

    def __call__(self, step: Step) -> Tensor:
        """Return the weighted cross-entropy, (N,)."""
        share = (step.number - 1) / (2 * step.total)
        return weighted_split(step, step.resisting, share)

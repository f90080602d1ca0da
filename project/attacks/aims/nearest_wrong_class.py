"""The class that is easiest to reach."""

from __future__ import annotations

from torch import Tensor

from project.attacks.aims.aim import Aim
from project.core.losses import valid_elements


class NearestWrongClass(Aim):
    """For each element the class of the largest clean logit that is not the label's.

    Source: [ours], after the best-ranked target class of Croce & Hein, "Reliable Evaluation of
    Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks", ICML 2020.
    """

    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the runners-up, or the leaders where the victim is wrong already."""
        labels = target.where(valid_elements(target), 0).unsqueeze(1)
        return logits.scatter(1, labels, float("-inf")).argmax(1)

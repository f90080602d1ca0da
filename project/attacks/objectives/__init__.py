"""What gradient attacks climb."""

from project.attacks.objectives.adversarial_split import AdversarialSplit
from project.attacks.objectives.objective import CrossEntropy, Margin, Objective, weighted_split
from project.attacks.objectives.two_stage import Divergence, HardWeight, TwoStage

__all__ = [
    "AdversarialSplit",
    "CrossEntropy",
    "Divergence",
    "HardWeight",
    "Margin",
    "Objective",
    "TwoStage",
    "weighted_split",
]

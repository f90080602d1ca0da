"""Objectives: the losses that gradient attacks maximise."""

from project.attacks.gradient.objectives.cross_entropies import (
    BalancedCrossEntropy,
    MaskedCrossEntropy,
)
from project.attacks.gradient.objectives.divergences import JensenShannon, KullbackLeibler
from project.attacks.gradient.objectives.dlr import DLR, DLRTowards
from project.attacks.gradient.objectives.feature_similarity import FeatureSimilarity
from project.attacks.gradient.objectives.normalised_logit import MaskedNormalisedLogit
from project.attacks.gradient.objectives.objective import (
    CrossEntropy,
    Margin,
    Objective,
    weighted_split,
)
from project.attacks.gradient.objectives.pixel_weights import (
    AdversarialSplit,
    CosineWeighted,
    Divergence,
    HardWeight,
    TwoStage,
)

__all__ = [
    "DLR",
    "AdversarialSplit",
    "BalancedCrossEntropy",
    "CosineWeighted",
    "CrossEntropy",
    "DLRTowards",
    "Divergence",
    "FeatureSimilarity",
    "HardWeight",
    "JensenShannon",
    "KullbackLeibler",
    "Margin",
    "MaskedCrossEntropy",
    "MaskedNormalisedLogit",
    "Objective",
    "TwoStage",
    "weighted_split",
]

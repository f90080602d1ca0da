"""What gradient attacks climb."""

from project.attacks.objectives.adversarial_split import AdversarialSplit
from project.attacks.objectives.balanced_cross_entropy import BalancedCrossEntropy
from project.attacks.objectives.cosine_weighted import CosineWeighted
from project.attacks.objectives.dlr import DLR
from project.attacks.objectives.dlr_towards import DLRTowards
from project.attacks.objectives.feature_similarity import FeatureSimilarity
from project.attacks.objectives.jensen_shannon import JensenShannon
from project.attacks.objectives.kullback_leibler import KullbackLeibler
from project.attacks.objectives.masked_cross_entropy import MaskedCrossEntropy
from project.attacks.objectives.objective import CrossEntropy, Margin, Objective, weighted_split
from project.attacks.objectives.two_stage import Divergence, HardWeight, TwoStage

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
    "Objective",
    "TwoStage",
    "weighted_split",
]

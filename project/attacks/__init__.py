"""Attacks: ``attack(victim, images, target)`` returns adversarial images.

Well-known recipes by name; their parts (objectives, gradient rules, step-size schedules, threat
models) combine freely in :class:`GradientAttack`.
"""

from project.attacks.advdrop import AdvDrop
from project.attacks.aimed import Aimed
from project.attacks.aims import Aim, FixedClass, NearestWrongClass, TargetMaps
from project.attacks.alma_prox import ALMAProx
from project.attacks.apgd import APGD
from project.attacks.attack import Attack, AttackResult
from project.attacks.best_of import BestOf
from project.attacks.chroma_shift import ChromaShift
from project.attacks.cospgd import CosPGD
from project.attacks.dag import DAG
from project.attacks.flow import FlowAttack
from project.attacks.fspgd import FSPGD
from project.attacks.gradient import GradientAttack
from project.attacks.objectives import (
    DLR,
    AdversarialSplit,
    BalancedCrossEntropy,
    CosineWeighted,
    CrossEntropy,
    FeatureSimilarity,
    JensenShannon,
    Margin,
    MaskedCrossEntropy,
    Objective,
    TwoStage,
)
from project.attacks.pgd import FGSM, MIFGSM, PGD
from project.attacks.refined import Refined
from project.attacks.rules import (
    GradientRule,
    Momentum,
    Nesterov,
    TranslationInvariant,
    Variance,
)
from project.attacks.sea import SEA
from project.attacks.segpgd import SegPGD
from project.attacks.ssta import SSTA
from project.attacks.stadv import StAdv
from project.attacks.transegpgd import TranSegPGD
from project.attacks.transforms import (
    Admix,
    Diversity,
    InputTransform,
    ScaleInvariant,
    Spectrum,
)
from project.attacks.universal import Universal

ATTACKS_VERSION = 3
"""Part of every store key: raised whenever equal arguments come to give other images."""

__all__ = [
    "APGD",
    "ATTACKS_VERSION",
    "DAG",
    "DLR",
    "FGSM",
    "FSPGD",
    "MIFGSM",
    "PGD",
    "SEA",
    "SSTA",
    "ALMAProx",
    "Admix",
    "AdvDrop",
    "AdversarialSplit",
    "Aim",
    "Aimed",
    "Attack",
    "AttackResult",
    "BalancedCrossEntropy",
    "BestOf",
    "ChromaShift",
    "CosPGD",
    "CosineWeighted",
    "CrossEntropy",
    "Diversity",
    "FeatureSimilarity",
    "FixedClass",
    "FlowAttack",
    "GradientAttack",
    "GradientRule",
    "InputTransform",
    "JensenShannon",
    "Margin",
    "MaskedCrossEntropy",
    "Momentum",
    "NearestWrongClass",
    "Nesterov",
    "Objective",
    "Refined",
    "ScaleInvariant",
    "SegPGD",
    "Spectrum",
    "StAdv",
    "TargetMaps",
    "TranSegPGD",
    "TranslationInvariant",
    "TwoStage",
    "Universal",
    "Variance",
]

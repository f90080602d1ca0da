"""Attacks: ``attack(victim, images, target)`` returns adversarial images.

Well-known recipes by name; their parts (objectives, gradient rules, step-size schedules, threat
models) combine freely in :class:`GradientAttack`.
"""

from project.attacks.adapters.art_attack import ArtAttack
from project.attacks.adapters.foolbox_attack import FoolboxAttack
from project.attacks.adapters.torchattacks_attack import TorchattacksAttack
from project.attacks.combined.aimed import Aimed
from project.attacks.combined.aims import Aim, FixedClass, NearestWrongClass, TargetMaps
from project.attacks.combined.auto_attack import AutoAttack
from project.attacks.combined.best_of import BestOf
from project.attacks.combined.cascade import Cascade
from project.attacks.combined.refined import Refined
from project.attacks.combined.sea import SEA
from project.attacks.combined.within import Within
from project.attacks.core.attack import Attack
from project.attacks.core.result import AttackResult, Perturbed
from project.attacks.flow.attack import FlowAttack
from project.attacks.flow.chroma_shift import ChromaShift
from project.attacks.flow.flow_pgd import FlowPGD
from project.attacks.flow.mirage import Mirage
from project.attacks.flow.random_flow import RandomFlow
from project.attacks.flow.ssta import SSTA
from project.attacks.flow.stadv import StAdv
from project.attacks.gradient.attack import GradientAttack, GradientRecipe
from project.attacks.gradient.objectives import (
    DLR,
    AdversarialSplit,
    BalancedCrossEntropy,
    CosineWeighted,
    CrossEntropy,
    DLRTowards,
    FeatureSimilarity,
    JensenShannon,
    KullbackLeibler,
    Margin,
    MaskedCrossEntropy,
    MaskedNormalisedLogit,
    Objective,
    TwoStage,
)
from project.attacks.gradient.objectives.objective import Step
from project.attacks.gradient.rules import (
    ATT,
    GRA,
    MEF,
    PGN,
    TGR,
    GradientRule,
    Momentum,
    Nesterov,
    TopPixels,
    TranslationInvariant,
    Variance,
)
from project.attacks.gradient.transforms import (
    Admix,
    BlockShuffle,
    Deformation,
    Diversity,
    InputTransform,
    MixedFrequency,
    RandomAffine,
    ScaleInvariant,
    Spectrum,
    StructureInvariant,
)
from project.attacks.noise.advdrop import AdvDrop
from project.attacks.noise.alma_prox import ALMAProx
from project.attacks.noise.apgd import APGD
from project.attacks.noise.cospgd import CosPGD
from project.attacks.noise.dag import DAG
from project.attacks.noise.fab import FAB
from project.attacks.noise.fspgd import FSPGD
from project.attacks.noise.pgd import FGSM, MIFGSM, PGD
from project.attacks.noise.segpgd import SegPGD
from project.attacks.noise.square import Square
from project.attacks.noise.targeted_apgd import TargetedAPGD
from project.attacks.noise.transegpgd import TranSegPGD
from project.attacks.noise.universal import Universal

ATTACKS_VERSION = 7
"""Part of every store key: raised whenever equal arguments come to give other images."""

__all__ = [
    "APGD",
    "ATT",
    "ATTACKS_VERSION",
    "DAG",
    "DLR",
    "FAB",
    "FGSM",
    "FSPGD",
    "GRA",
    "MEF",
    "MIFGSM",
    "PGD",
    "PGN",
    "SEA",
    "SSTA",
    "TGR",
    "ALMAProx",
    "Admix",
    "AdvDrop",
    "AdversarialSplit",
    "Aim",
    "Aimed",
    "ArtAttack",
    "Attack",
    "AttackResult",
    "AutoAttack",
    "BalancedCrossEntropy",
    "BestOf",
    "BlockShuffle",
    "Cascade",
    "ChromaShift",
    "CosPGD",
    "CosineWeighted",
    "CrossEntropy",
    "DLRTowards",
    "Deformation",
    "Diversity",
    "FeatureSimilarity",
    "FixedClass",
    "FlowAttack",
    "FlowPGD",
    "FoolboxAttack",
    "GradientAttack",
    "GradientRecipe",
    "GradientRule",
    "InputTransform",
    "JensenShannon",
    "KullbackLeibler",
    "Margin",
    "MaskedCrossEntropy",
    "MaskedNormalisedLogit",
    "Mirage",
    "MixedFrequency",
    "Momentum",
    "NearestWrongClass",
    "Nesterov",
    "Objective",
    "Perturbed",
    "RandomAffine",
    "RandomFlow",
    "Refined",
    "ScaleInvariant",
    "SegPGD",
    "Spectrum",
    "Square",
    "StAdv",
    "Step",
    "StructureInvariant",
    "TargetMaps",
    "TargetedAPGD",
    "TopPixels",
    "TorchattacksAttack",
    "TranSegPGD",
    "TranslationInvariant",
    "TwoStage",
    "Universal",
    "Variance",
    "Within",
]

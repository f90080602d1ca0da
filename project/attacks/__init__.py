"""Attacks: ``attack(victim, images, target)`` returns adversarial images.

Well-known recipes by name; their parts (objectives, gradient rules, step-size schedules, threat
models) combine freely in :class:`GradientAttack`.
"""

from project.attacks.advdrop import AdvDrop
from project.attacks.attack import Attack, AttackResult
from project.attacks.best_of import BestOf
from project.attacks.chroma_shift import ChromaShift
from project.attacks.flow import FlowAttack
from project.attacks.gradient import GradientAttack
from project.attacks.objectives import AdversarialSplit, CrossEntropy, Margin, Objective, TwoStage
from project.attacks.pgd import FGSM, MIFGSM, PGD
from project.attacks.refined import Refined
from project.attacks.rules import GradientRule, Momentum
from project.attacks.segpgd import SegPGD
from project.attacks.ssta import SSTA
from project.attacks.stadv import StAdv
from project.attacks.transegpgd import TranSegPGD
from project.attacks.transforms import InputTransform

ATTACKS_VERSION = 2
"""Part of every store key: raised whenever equal arguments come to give other images."""

__all__ = [
    "ATTACKS_VERSION",
    "FGSM",
    "MIFGSM",
    "PGD",
    "SSTA",
    "AdvDrop",
    "AdversarialSplit",
    "Attack",
    "AttackResult",
    "BestOf",
    "ChromaShift",
    "CrossEntropy",
    "FlowAttack",
    "GradientAttack",
    "GradientRule",
    "InputTransform",
    "Margin",
    "Momentum",
    "Objective",
    "Refined",
    "SegPGD",
    "StAdv",
    "TranSegPGD",
    "TwoStage",
]

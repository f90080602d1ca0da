"""Gradient rules: what is done to gradients before a step, and where they are taken."""

from project.attacks.gradient.rules.att import ATT
from project.attacks.gradient.rules.chain import RuleChain
from project.attacks.gradient.rules.gra import GRA
from project.attacks.gradient.rules.mef import MEF
from project.attacks.gradient.rules.momentum import Momentum, Nesterov
from project.attacks.gradient.rules.pgn import PGN
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.attacks.gradient.rules.tgr import TGR
from project.attacks.gradient.rules.top_pixels import TopPixels
from project.attacks.gradient.rules.translation_invariant import TranslationInvariant
from project.attacks.gradient.rules.variance import Variance

__all__ = [
    "ATT",
    "GRA",
    "MEF",
    "PGN",
    "TGR",
    "GradientRule",
    "Momentum",
    "Nesterov",
    "RuleChain",
    "StepContext",
    "TopPixels",
    "TranslationInvariant",
    "Variance",
]

"""Gradient rules: momentum, variance tuning and smoothing of gradients before a step."""

from project.attacks.gradient.rules.chain import RuleChain
from project.attacks.gradient.rules.momentum import Momentum, Nesterov
from project.attacks.gradient.rules.rule import GradientRule, StepContext
from project.attacks.gradient.rules.translation_invariant import TranslationInvariant
from project.attacks.gradient.rules.variance import Variance

__all__ = [
    "GradientRule",
    "Momentum",
    "Nesterov",
    "RuleChain",
    "StepContext",
    "TranslationInvariant",
    "Variance",
]

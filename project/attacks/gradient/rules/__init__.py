"""What gradient attacks do to a gradient before they step."""

from project.attacks.gradient.rules.chain import RuleBook
from project.attacks.gradient.rules.momentum import Momentum, Nesterov
from project.attacks.gradient.rules.rule import GradientRule, Here
from project.attacks.gradient.rules.translation_invariant import TranslationInvariant
from project.attacks.gradient.rules.variance import Variance

__all__ = [
    "GradientRule",
    "Here",
    "Momentum",
    "Nesterov",
    "RuleBook",
    "TranslationInvariant",
    "Variance",
]

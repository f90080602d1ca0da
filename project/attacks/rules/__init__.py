"""What gradient attacks do to a gradient before they step."""

from project.attacks.rules.book import RuleBook
from project.attacks.rules.momentum import Momentum
from project.attacks.rules.nesterov import Nesterov
from project.attacks.rules.rule import GradientRule, Here
from project.attacks.rules.translation_invariant import TranslationInvariant
from project.attacks.rules.variance import Variance

__all__ = [
    "GradientRule",
    "Here",
    "Momentum",
    "Nesterov",
    "RuleBook",
    "TranslationInvariant",
    "Variance",
]

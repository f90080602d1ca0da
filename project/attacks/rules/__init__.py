"""What gradient attacks do to a gradient before they step."""

from project.attacks.rules.book import RuleBook
from project.attacks.rules.momentum import Momentum
from project.attacks.rules.rule import GradientRule, Here

__all__ = ["GradientRule", "Here", "Momentum", "RuleBook"]

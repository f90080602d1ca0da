"""Faster copies of victims for attacks, which compute the same function at less cost."""

from project.victims.acceleration.copies import Accelerated, LogitDifference, accelerated
from project.victims.acceleration.options import Acceleration

__all__ = ["Accelerated", "Acceleration", "LogitDifference", "accelerated"]

"""Faster copies of victims, for attacks: the same function, made of cheaper steps."""

from project.victims.acceleration.copies import Accelerated, LogitDifference, accelerated
from project.victims.acceleration.options import Acceleration

__all__ = ["Accelerated", "Acceleration", "LogitDifference", "accelerated"]

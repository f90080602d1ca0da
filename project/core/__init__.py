"""Foundations of every other package: errors, choices, random draws, losses, samples, identity."""

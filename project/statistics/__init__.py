"""Intervals and tests over images."""

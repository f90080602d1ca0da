"""Attacks composed of other attacks."""

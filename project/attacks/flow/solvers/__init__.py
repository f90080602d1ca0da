"""Minimising one loss per image."""

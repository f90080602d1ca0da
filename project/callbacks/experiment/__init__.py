"""Callbacks of attack.py."""

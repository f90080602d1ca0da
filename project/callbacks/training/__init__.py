"""Callbacks of train.py."""

"""Attacks that add noise, a file each."""

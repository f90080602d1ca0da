"""Attacks that move pixels, a file each."""

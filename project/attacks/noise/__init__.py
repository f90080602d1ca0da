"""Attacks that add noise, one file for each method."""

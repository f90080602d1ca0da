"""Attacks that move pixels along a flow field, one file for each method."""

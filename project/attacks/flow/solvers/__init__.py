"""Minimisers of one loss per image: Adam and batched L-BFGS."""

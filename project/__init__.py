"""Mirage: imperceptible and transferable attacks on vision models, at scale."""

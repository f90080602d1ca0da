"""Grids: attacks × budgets × sources × data from one file."""

from project.grid.running import grid_main

__all__ = ["grid_main"]

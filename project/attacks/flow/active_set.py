"""The images of a batch that a flow attack still optimises; finished ones are removed."""

from __future__ import annotations

import torch
from torch import Tensor

from project.attacks.flow.solvers.solver import Solver
from project.attacks.gradient.objectives.objective import Memory
from project.core.per_image import PerImage


class ActiveSet(PerImage):
    """Images under optimisation, with their targets, saliency maps, memories and solver.

    Attributes:
        rows: (n,) int64, indices in the full batch.
        images: (n, 3, H, W).
        target: (n, ...).
        maps: (n, 1, H, W), or None.
        memory: (n, ...) each, tensors that an objective keeps from step to step.
        solver: the minimiser of the n flows.
    """

    def __init__(self, images: Tensor, target: Tensor, maps: Tensor | None, solver: Solver) -> None:
        self.rows = torch.arange(len(images), device=images.device)
        self.images = images
        self.target = target
        self.maps = maps
        self.memory: Memory = {}
        self.solver = solver

    def leave(self, done: Tensor | None) -> None:
        """Remove the images that are done or whose solver has converged.

        Args:
            done: (n,) bool; None: none is.
        """
        leaving = [rows for rows in (done, self.solver.resting) if rows is not None]
        if not leaving:
            return
        staying = ~torch.stack(leaving).any(0)
        if not bool(staying.all()):
            self.shrink_to(staying)

"""The interface of minimisers of one loss per image, and Adam."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from project.core.per_image import PerImage


class Solver(PerImage, ABC):
    """Base class of minimisers of n independent problems at once.

    A loop evaluates losses and gradient at ``point`` and passes them to ``tell``.

    Attributes:
        point: (n, ...), a leaf that requires gradient: the points to evaluate next.
        resting: (n,) bool, which problems have converged and will not move any more; None: the
            method knows no convergence.
    """

    point: Tensor
    resting: Tensor | None = None

    @abstractmethod
    def tell(self, losses: Tensor, gradient: Tensor) -> None:
        """Take losses and gradient at ``point``, and move it.

        Args:
            losses: (n,).
            gradient: (n, ...), of the losses' sum.
        """


class Adam(Solver):
    """torch's Adam or AdamW, which work value by value, so that problems do not interact.

    All problems start together, so they also share the step count.

    Args:
        start: (n, ...).
        step_size: learning rate in the point's units.
        decoupled: AdamW instead of Adam.
    """

    def __init__(self, start: Tensor, step_size: float, decoupled: bool = False) -> None:
        self.point = start.detach().clone().requires_grad_()
        self.step_size = step_size
        self.decoupled = decoupled
        self._optimizer = self._optimizer_of(self.point)

    def tell(self, losses: Tensor, gradient: Tensor) -> None:
        """Take one step; the losses themselves are not needed."""
        self.point.grad = gradient
        self._optimizer.step()
        self.point.grad = None

    def shrink_to(self, rows: Tensor) -> None:
        """Keep only some of the problems, with their points and moments."""
        old, state = self.point, self._optimizer.state.get(self.point, {})
        self.point = old.detach()[rows].requires_grad_()
        # A new optimiser, since a shallow copy of this solver shares the old one.
        self._optimizer = self._optimizer_of(self.point)
        self._optimizer.state[self.point] = {
            name: value[rows] if value.shape == old.shape else value
            for name, value in state.items()
        }

    def _optimizer_of(self, point: Tensor) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        # Not fused on CPUs: there the kernel rounds the last values of a tensor in another way, so
        # that results would depend on the batch.
        return kind([point], lr=self.step_size, fused=point.is_cuda)

"""Minimising one loss per image: whatever the method, the loop asks for a point and tells of it."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from project.core.per_image import PerImage


class Solver(PerImage, ABC):
    """A minimiser of n problems at once, none of which knows of the others.

    Attributes:
        point: (n, ...), a leaf that requires gradient: where to evaluate the losses next.
        resting: (n,) bool, which problems will not move any more; None: none ever rests.
    """

    point: Tensor
    resting: Tensor | None = None

    @abstractmethod
    def tell(self, losses: Tensor, gradient: Tensor) -> None:
        """Take the losses at ``point`` and move it.

        Args:
            losses: (n,).
            gradient: (n, ...), of the losses' sum.
        """


class Adam(Solver):
    """torch's Adam or AdamW, which work value by value: stacked problems are as if alone.

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
        """Cut the point and its moments to the problems that stay."""
        old, state = self.point, self._optimizer.state.get(self.point, {})
        self.point = old.detach()[rows].requires_grad_()
        self._optimizer = self._optimizer_of(self.point)  # copies before the cut keep their own
        self._optimizer.state[self.point] = {
            name: value[rows] if value.shape == old.shape else value
            for name, value in state.items()
        }

    def _optimizer_of(self, point: Tensor) -> torch.optim.Optimizer:
        kind = torch.optim.AdamW if self.decoupled else torch.optim.Adam
        # Not on CPUs: there the fused kernel rounds the last values of a tensor in another way.
        return kind([point], lr=self.step_size, fused=point.is_cuda)

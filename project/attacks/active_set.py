"""The images of a batch that still take part: the others cost nothing any more."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

FlowOptimizer = Literal["adam", "adamw"]

_OPTIMIZERS: dict[str, type[torch.optim.Adam] | type[torch.optim.AdamW]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
}


class ActiveSet:
    """Images under optimisation, each with its own flow and its own moments.

    Adam works value by value, so one optimiser over the stacked flows treats every image as if it
    were alone. All images start together, so they also share the step count.

    Attributes:
        rows: (n,) int64, places in the full batch.
        images: (n, 3, H, W).
        target: (n, ...).
        maps: (n, 1, H, W), or None.
        flow: (n, 2, H, W) in pixels, a leaf that requires gradient.
    """

    def __init__(
        self,
        images: Tensor,
        target: Tensor,
        maps: Tensor | None,
        optimizer: FlowOptimizer,
        step_size: float,
    ) -> None:
        self.rows = torch.arange(len(images), device=images.device)
        self.images = images
        self.target = target
        self.maps = maps
        self.flow = images.new_zeros(len(images), 2, *images.shape[2:]).requires_grad_()
        self._optimizer = _OPTIMIZERS[optimizer]([self.flow], lr=step_size)

    def __len__(self) -> int:
        return len(self.rows)

    def descend(self, gradient: Tensor, bound: float) -> None:
        """Take one optimiser step, then project the flows into the budget."""
        self.flow.grad = gradient
        self._optimizer.step()
        with torch.no_grad():
            self.flow.clamp_(-bound, bound)

    def keep(self, staying: Tensor) -> None:
        """Let all other images leave.

        Args:
            staying: (n,) bool.
        """
        if bool(staying.all()):
            return
        self.rows, self.images = self.rows[staying], self.images[staying]
        self.target = self.target[staying]
        self.maps = None if self.maps is None else self.maps[staying]
        old, self.flow = self.flow, self.flow.detach()[staying].requires_grad_()
        state = self._optimizer.state.pop(old)
        self._optimizer.state[self.flow] = {
            name: value[staying] if value.shape == old.shape else value
            for name, value in state.items()
        }
        self._optimizer.param_groups[0]["params"] = [self.flow]

"""The optimiser of a perturbation inside a ball."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.nn import Parameter


class ProjectedSign(torch.optim.Optimizer):
    r"""Steps along the gradient's sign: $$\delta \leftarrow [\delta - \alpha\,s(\nabla)]_{\pm ε}$$.

    The steepest descent of an L∞ ball, projected onto it; the learning rate is α.

    Args:
        parameters: what to fit.
        lr: α, in units of the [0, 1] range.
        eps: ε, the ball's radius in the same units.
    """

    def __init__(self, parameters: Iterable[Parameter], lr: float, eps: float) -> None:
        super().__init__(parameters, {"lr": lr, "eps": eps})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Take one step; returns the closure's loss."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.sub_(parameter.grad.sign(), alpha=group["lr"])
                    parameter.clamp_(-group["eps"], group["eps"])
        return loss

"""Adversarial weight perturbation, an add-on to any robust loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.func import functional_call

from project.core.errors import InputError
from project.data.loader import Batch
from project.training.batch_norm import still
from project.training.robust.robust_loss import Learner, RobustLoss

_TINY = 1e-20  # as in the authors' code; a gradient of 0 perturbs nothing


class AWP(RobustLoss):
    r"""A robust loss at adversarial weights: $$L(w + v)$$, which flattens the loss in the weights.

    $$v = \gamma \|w\|\, \nabla L(w) / \|\nabla L(w)\|$$ for each weight tensor, from one pass that
    updates no statistics; over several processes from the gradient of their common batch. The
    weights themselves never change: w + v is a function of them, with the same gradient.

    Source: Wu et al., "Adversarial Weight Perturbation Helps Robust Generalization", NeurIPS 2020,
    section 4 with one step [paper]; which tensors, and a start after some epochs [code].
    There v comes from the difference that an SGD step makes to a copy, and is still in the weights
    when the optimiser steps; here it comes from the gradient, and the optimiser (weight decay,
    momentum) sees w [ours]. Under accumulation each batch has its own v [ours].

    Args:
        loss: L, the loss to perturb.
        gamma: γ, the size relative to that of each weight tensor; the authors' code has 0.005
            with TRADES, 0.01 with the loss on adversarial images alone.
        warm_up: epochs before it starts; their code has 9 with TRADES, 0 else.
    """

    def __init__(self, loss: RobustLoss, gamma: float = 0.005, warm_up: int = 0) -> None:
        if not gamma > 0 or warm_up < 0:
            raise InputError(
                f"gamma must be greater than 0 and warm_up at least 0, got {gamma}, {warm_up}. "
                "To train without a weight perturbation use the inner loss itself."
            )
        self.loss = loss
        self.gamma = gamma
        self.warm_up = warm_up

    def __call__(self, learner: Learner, batch: Batch) -> Tensor:
        """Return the loss at the perturbed weights."""
        compute = partial(self.loss, learner, batch)
        if learner.epoch < self.warm_up:
            return compute()
        return _at(self._perturbed(learner.victim, compute), learner.victim, compute)

    def _perturbed(self, victim: nn.Module, compute: Callable[[], Tensor]) -> dict[str, Tensor]:
        """Return w + v by name, with gradient to w."""
        weights = {
            name: weight
            for name, weight in victim.named_parameters()
            if weight.requires_grad and weight.ndim > 1 and "weight" in name
        }
        with still(victim):
            loss = compute()
        slopes = torch.autograd.grad(loss, list(weights.values()), materialize_grads=True)
        return {
            name: weight + self.gamma * weight.detach().norm() / (slope.norm() + _TINY) * slope
            for (name, weight), slope in zip(weights.items(), _summed(slopes), strict=True)
        }


class _Computation(nn.Module):
    """A computation with a victim, wrapped as a module so that its weights can be replaced."""

    def __init__(self, victim: nn.Module, compute: Callable[[], Tensor]) -> None:
        super().__init__()
        self.victim = victim
        self.compute = compute

    def forward(self) -> Tensor:
        return self.compute()


def _at(weights: dict[str, Tensor], victim: nn.Module, compute: Callable[[], Tensor]) -> Tensor:
    """Compute with other weights in the victim, which has its own again afterwards."""
    replaced = {f"victim.{name}": weight for name, weight in weights.items()}
    value: Tensor = functional_call(_Computation(victim, compute), replaced, ())
    return value


def _summed(slopes: Sequence[Tensor]) -> Sequence[Tensor]:
    """Sum gradients over all ranks, so that all have the same v; unchanged in a single process."""
    if not (dist.is_available() and dist.is_initialized()):
        return slopes
    # One collective for all tensors. A sum will do: v depends on the gradient's direction alone.
    flat = torch.cat([slope.flatten() for slope in slopes])
    dist.all_reduce(flat)
    parts = torch.split(flat, [slope.numel() for slope in slopes])
    return [part.view(slope.shape) for part, slope in zip(parts, slopes, strict=True)]

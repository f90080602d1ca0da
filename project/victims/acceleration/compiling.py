"""Compilation of networks whose layers can still be observed by hooks."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from project.victims.acceleration.networks import Forward, surround


def compile_network(network: nn.Module, mode: str) -> None:
    """Compile a network's forward pass, in place.

    Compiled code does not call hooks that are registered later, so the network runs uncompiled
    while any of its modules has one. Shapes are static: with dynamic shapes, kernels would be
    remade once a second shape is seen, and last bits would depend on which batch came first.

    Args:
        network: changed, though not its names and weights.
        mode: mode of ``torch.compile``.
    """
    modules = list(network.modules())

    def either(forward: Forward) -> Forward:
        compiled = torch.compile(forward, mode=mode, dynamic=False)

        def run(images: Tensor) -> Any:
            if any(part._forward_hooks or part._forward_pre_hooks for part in modules):
                return forward(images)
            return tree_map(_own, compiled(images))

        return run

    surround(network, either)


def _own(value: Any) -> Any:
    """Copy tensors, since a CUDA graph overwrites its outputs in its next run."""
    return value.clone() if isinstance(value, Tensor) else value

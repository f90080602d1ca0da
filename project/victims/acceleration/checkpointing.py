"""Gradient checkpointing, which recomputes the activations of blocks in the backward pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from project.victims.acceleration.networks import Forward, surround

_LISTS = (nn.Sequential, nn.ModuleList, nn.ModuleDict)


def checkpoint_blocks(network: nn.Module) -> int:
    """Store only the inputs of each block for the backward pass, and recompute the rest there.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174
    [paper]; which modules are blocks: [ours].

    Args:
        network: in eval mode, so that nothing random is drawn anew; changed.

    Returns:
        The number of blocks.
    """
    found = list(dict.fromkeys(blocks(network)))
    for block in found:
        surround(block, _checkpointed)
    return len(found)


def blocks(network: nn.Module) -> Iterator[nn.Module]:
    """Yield the blocks of a network, in the order of its modules.

    A block is a submodule that holds several layers with weights. A submodule most of whose own
    parts are blocks of one class is a stage of the network, and its blocks are yielded instead.
    Containers such as ``nn.Sequential`` count as their contents.
    """
    for part in _parts(network):
        if _is_block(part):
            if _is_stage(part):
                yield from blocks(part)
            else:
                yield part


def _parts(module: nn.Module) -> Iterator[nn.Module]:
    """Yield the children that hold weights; for containers, their contents instead."""
    for child in module.children():
        if isinstance(child, _LISTS):
            yield from _parts(child)
        elif _layers(child):
            yield child


def _is_block(module: nn.Module) -> bool:
    return _layers(module) > 1


def _is_stage(module: nn.Module) -> bool:
    parts = list(_parts(module))
    classes = Counter(type(part) for part in parts if _is_block(part))
    return 2 * max(classes.values(), default=0) > len(parts)


def _layers(module: nn.Module) -> int:
    """Count the layers whose weights are matrices or filters; norms do not count."""
    return sum(
        any(weight.ndim > 1 for weight in layer.parameters(recurse=False))
        for layer in module.modules()
    )


def _checkpointed(forward: Forward) -> Forward:
    def again(*arguments: Any, **named: Any) -> Any:
        if not torch.is_grad_enabled():  # nothing is stored for a backward pass anyway
            return forward(*arguments, **named)
        return checkpoint(
            forward, *arguments, use_reentrant=False, preserve_rng_state=False, **named
        )

    return again

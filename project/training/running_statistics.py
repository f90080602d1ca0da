"""Layers that remember the statistics of what they have seen: BatchNorm and its like."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


def tracking_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return the layers with running statistics by name.

    They are known by their flag and not by their class: libraries have BatchNorm of their own.
    """
    return {
        name: layer
        for name, layer in network.named_modules()
        if getattr(layer, "track_running_stats", False) is True
    }


@contextmanager
def still(network: nn.Module) -> Iterator[None]:
    """Let layers in train mode normalise by their batch without remembering its statistics."""
    layers: list[Any] = [layer for layer in tracking_layers(network).values() if layer.training]
    for layer in layers:
        layer.track_running_stats = False
    try:
        yield
    finally:
        for layer in layers:
            layer.track_running_stats = True

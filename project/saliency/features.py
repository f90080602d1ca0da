"""The spatial features that a victim computes on its way to the logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

_PREFIXES = (0, 1, 2, 5)
"""Tokens before an image's own: none; a class token; distillation; registers."""
_SQUARE_TO = 1.25
"""How far rounding may take the strides along rows and columns apart."""


@dataclass
class Features:
    """What hooks have seen of one forward pass.

    Attributes:
        frame: height and width of what the network proper was given.
        seen: names and outputs, in the order they were computed.
    """

    frame: tuple[int, int] | None = None
    seen: list[tuple[str, Tensor]] = field(default_factory=list)


@contextmanager
def recorded(victim: nn.Module) -> Iterator[Features]:
    """Record the spatial features of every submodule that is called inside the block."""
    features = Features()
    handles = []
    for name, module in victim.named_modules():
        if name:
            handles.append(module.register_forward_pre_hook(_frame_hook(features)))
            handles.append(module.register_forward_hook(_output_hook(features, name)))
    try:
        yield features
    finally:
        for handle in handles:
            handle.remove()


def spatial(output: Tensor, frame: tuple[int, int]) -> Tensor | None:
    """See an output as maps (N, C, h, w), or None if it is not spatial.

    Args:
        output: (N, C, h, w), (N, h, w, C), or tokens (N, T, C), row by row, perhaps with a class
            token or the like before them.
        frame: size of the network's input; the maps have its shape, up to rounding.
    """
    if output.ndim == 4:
        for maps in (output, output.permute(0, 3, 1, 2)):
            if _fits(maps.shape[2], maps.shape[3], frame):
                return maps
    if output.ndim == 3:
        for prefix in _PREFIXES:
            count = output.shape[1] - prefix
            height, width = _grid(count, frame)
            if height * width == count > 1 and frame[0] * width == frame[1] * height:
                tokens = output[:, prefix:].mT
                return tokens.reshape(len(output), -1, height, width)
    return None


def _grid(count: int, frame: tuple[int, int]) -> tuple[int, int]:
    stride = math.sqrt(frame[0] * frame[1] / max(1, count))
    return round(frame[0] / stride), round(frame[1] / stride)


def _fits(height: int, width: int, frame: tuple[int, int]) -> bool:
    if height * width <= 1 or height > frame[0] or width > frame[1]:
        return False
    strides = (frame[0] / height, frame[1] / width)
    return max(strides) <= _SQUARE_TO * min(strides)


def _frame_hook(features: Features) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...]) -> None:
        first = arguments[0] if arguments else None
        if features.frame is None and isinstance(first, Tensor) and first.ndim == 4:
            features.frame = (first.shape[2], first.shape[3])

    return hook


def _output_hook(features: Features, name: str) -> Any:
    def hook(module: nn.Module, arguments: tuple[Any, ...], output: Any) -> None:
        if not (isinstance(output, Tensor) and output.requires_grad and features.frame):
            return
        tokens = output.ndim == 3 and isinstance(module, nn.LayerNorm)
        if (output.ndim == 4 or tokens) and spatial(output, features.frame) is not None:
            features.seen.append((name, output))

    return hook

"""bfloat16 for the convolutions and matrix products of a network."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from project.victims.acceleration.networks import Forward, surround

_CAST = (nn.Conv2d.forward, nn.ConvTranspose2d.forward, nn.Linear.forward)


def to_bfloat16(network: nn.Module) -> None:
    """Compute convolutions and matrix products in bfloat16, and return float32.

    Autocast decides which operation is computed in which precision. It caches no copy of frozen
    weights but casts them in each pass, so those of ordinary layers are cast here, once.

    Source: Micikevicius et al., "Mixed Precision Training", ICLR 2018; of bfloat16, and of the
    input's gradient alone: [ours].

    Args:
        network: changed.
    """
    for layer in network.modules():
        if type(layer).forward in _CAST:
            layer.to(torch.bfloat16)
    surround(network, _autocast)


def _autocast(forward: Forward) -> Forward:
    def cast(*arguments: Any, **named: Any) -> Any:
        images = next(one for one in (*arguments, *named.values()) if isinstance(one, Tensor))
        with torch.autocast(images.device.type, torch.bfloat16):
            answer = forward(*arguments, **named)
        return tree_map(_float32, answer)

    return cast


def _float32(value: Any) -> Any:
    return value.float() if isinstance(value, Tensor) and value.is_floating_point() else value

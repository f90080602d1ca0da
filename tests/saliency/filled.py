"""Weights by a rule that needs no file: the rule that the published network's outputs are for."""

import zlib

import torch
from torch import nn


@torch.no_grad()
def fill(network: nn.Module, seed: int = 1) -> nn.Module:
    """Fill every parameter and buffer from a generator keyed by its name."""
    for name, value in network.state_dict().items():
        g = torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)
        if name.endswith("num_batches_tracked"):
            value.zero_()
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=g) + 0.5)
        elif name.endswith("running_mean"):
            value.copy_(0.1 * torch.randn(value.shape, generator=g))
        elif value.ndim == 1:
            centre = 1.0 if name.endswith("weight") else 0.0
            value.copy_(centre + 0.2 * torch.randn(value.shape, generator=g))
        else:
            size = (2.0 / max(1, value[0].numel())) ** 0.5
            value.copy_(torch.randn(value.shape, generator=g) * size)
    return network

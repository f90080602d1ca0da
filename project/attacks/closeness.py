"""How far an image is from another, with a gradient."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Literal, cast

import torch
from torch import Tensor

from project.errors import InputError
from project.metrics.learned import LPIPS

Closeness = Literal["mse", "lpips_squeeze", "lpips_alex", "lpips_vgg"]
Net = Literal["squeeze", "alex", "vgg"]


def closeness(name: Closeness) -> Callable[[Tensor, Tensor], Tensor]:
    """Return a distance of images (N, 3, H, W) in [0, 1] from others; (N,), with gradient.

    Args:
        name: ``mse``, in 0–255 units; or LPIPS with a backbone.
    """
    if name == "mse":
        return squared_error
    net = name.removeprefix("lpips_")
    if net not in ("squeeze", "alex", "vgg"):
        raise InputError(
            f"distance must be one of mse, lpips_squeeze, lpips_alex, lpips_vgg, got {name!r}."
        )

    def lpips(clean: Tensor, images: Tensor) -> Tensor:
        network = _network(cast(Net, net)).to(images.device)
        distance: Tensor = network(2 * clean - 1, 2 * images - 1)
        return distance.flatten()

    return lpips


def squared_error(clean: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared difference in 0–255 units, (N,)."""
    return (255 * (images - clean)).square().mean((1, 2, 3))


@cache
def _network(net: Net) -> torch.nn.Module:
    network: torch.nn.Module = LPIPS(net).network
    return network

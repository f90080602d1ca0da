"""Differentiable distances between images: squared error and LPIPS."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Literal

import torch
from torch import Tensor

from project.core.choices import choose
from project.core.errors import InputError, let_memory_errors_pass
from project.metrics.learned import BACKBONE_URLS, LPIPS, Net
from project.metrics.weights import UNAVAILABLE, cached, published

Distance = Literal["mse", "lpips_squeeze", "lpips_alex", "lpips_vgg"]

_NETS: dict[str, Net] = {f"lpips_{net}": net for net in BACKBONE_URLS}


def distance_named(name: Distance) -> Callable[[Tensor, Tensor], Tensor]:
    """Return the function of a distance between images (N, 3, H, W) in [0, 1].

    It returns (N,), with gradient.

    Args:
        name: ``mse``, in 0–255 units; or LPIPS with a backbone.

    Raises:
        ValueError: if there is no distance of that name.
    """
    learned = {known: partial(_lpips, net) for known, net in _NETS.items()}
    return choose("distance", {"mse": squared_error} | learned, name)


def require_distance(name: Distance) -> None:
    """Check that a distance can be computed on this machine, before anything is attacked.

    Raises:
        ValueError: if the weights of its backbone are missing and cannot be fetched.
    """
    if name == "mse":
        return
    net = _NETS[name]
    url = BACKBONE_URLS[net]
    try:
        published(url)
        _metric(net)
    except UNAVAILABLE as error:
        let_memory_errors_pass(error)
        path = cached(url)
        raise InputError(
            f"distance {name} needs the backbone weights {path.name}, which cannot be had "
            f"({' '.join(str(error).split())[:120]}). Put the file from {url} into {path.parent}, "
            "or take the distance mse."
        ) from error


def squared_error(clean: Tensor, images: Tensor) -> Tensor:
    """Return the mean squared difference in 0–255 units, (N,)."""
    return (255 * (images - clean)).square().mean((1, 2, 3))


def _lpips(net: Net, clean: Tensor, images: Tensor) -> Tensor:
    metric = _metric(net)
    if min(images.shape[2:]) < metric.smallest:
        raise InputError(
            f"distance {metric.name} needs images of at least {metric.smallest}×{metric.smallest} "
            f"pixels, got {images.shape[2]}×{images.shape[3]}. Take the distance mse."
        )
    network = metric.network.to(images.device)
    with torch.autocast(images.device.type, enabled=False):
        distance: Tensor = network(2 * clean.float() - 1, 2 * images.float() - 1)
    return distance.flatten().to(images.dtype)


@cache
def _metric(net: Net) -> LPIPS:
    return LPIPS(net)

"""The proximity operator of the maximum norm inside a box."""

from __future__ import annotations

import torch
from torch import Tensor

_HALVINGS = 30


def shrunk(values: Tensor, weight: Tensor, metric: Tensor, low: Tensor, high: Tensor) -> Tensor:
    r"""Return what is nearly the values, but with a smaller maximum norm, image by image.

    $$\arg\min_{low \le p \le high} \lambda \|p\|_\infty + \frac{1}{2} \sum_i H_i (p_i - v_i)^2$$.
    The solution is v cut to the box and then to [-t, t], where t is the least radius at which
    $$\sum_{|\bar v_i| > t} H_i (|v_i| - t) \le \lambda$$, v̄ being v cut to the box.

    Source: Rony et al., "Proximal Splitting Adversarial Attacks for Semantic Segmentation", CVPR
    2023 [code], where t is found by ternary search; the condition on t is the sign of
    the derivative, found by bisection with equally many halvings for every image [ours].

    Args:
        values: v, (N, ...).
        weight: λ, (N,), greater than 0.
        metric: H, (N, ...), greater than 0.
        low: the box, (N, ...), at most 0.
        high: the box, (N, ...), at least 0.

    Returns:
        p, (N, ...).
    """
    shape = (-1, *[1] * (values.ndim - 1))
    inside = values.clamp(low, high)
    sizes, lengths = inside.abs().flatten(1), values.abs().flatten(1)
    metric = metric.flatten(1)
    least, most = torch.zeros_like(weight), sizes.amax(1)
    for _ in range(_HALVINGS):
        middle = (least + most) / 2
        radius = middle[:, None]
        excess = (metric * (lengths - radius) * (sizes > radius)).sum(1)
        least = torch.where(excess > weight, middle, least)
        most = torch.where(excess > weight, most, middle)
    radius = most.view(shape)
    return inside.clamp(-radius, radius)

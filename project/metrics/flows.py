"""Measures of a flow: displacement, total variation, and fold-over.

Convention
    flow     (N, 2, H, W) in pixels, channels (dx, dy): dx to the right, dy downwards
    values   (N,) float64, one per image
"""

from __future__ import annotations

from torch import Tensor

from project.core.errors import InputError


def flow_facts(flow: Tensor) -> dict[str, Tensor]:
    r"""Measure flows, image by image.

    ``flow_max``: the largest displacement along an axis, $$\|f\|_\infty$$, in pixels; what a budget
    bounds. ``flow_mean``: the mean length of a displacement, in pixels, over all pixels, moved or
    not. ``flow_tv``: anisotropic total variation per pixel, $$\frac{1}{HW} \sum_p
    \|f_{p+x} - f_p\|_1 + \|f_{p+y} - f_p\|_1$$, in pixels; 0 for a translation. ``flow_folds``: the
    share of pixels where $$\det J \le 0$$ for the map $$u \mapsto u + f(u)$$, by forward
    differences (the last row and column have none); there neighbours swap places, so that the
    image is mirrored or collapses.

    Total variation and fold-over are [ours]: papers bound or smooth flows and tell neither. A
    budget ξ has $$\det J \ge 1 - 4\xi$$, so below 1/4 px nothing folds.

    Args:
        flow: (N, 2, H, W) in pixels: what moves the images, already cut to the mask.

    Returns:
        (N,) float64 by name.

    Raises:
        InputError: if the shape is another.
    """
    if flow.ndim != 4 or flow.shape[1] != 2:
        raise InputError(f"flow must be (N, 2, H, W) in pixels, got {tuple(flow.shape)}.")
    flow = flow.detach().double()
    across, down = flow.diff(dim=3), flow.diff(dim=2)
    pixels = flow.shape[2] * flow.shape[3]
    variation = across.abs().sum((1, 2, 3)) + down.abs().sum((1, 2, 3))
    return {
        "flow_max": flow.abs().amax((1, 2, 3)),
        "flow_mean": flow.square().sum(1).sqrt().mean((1, 2)),
        "flow_tv": variation / pixels,
        "flow_folds": _folds(across[:, :, :-1], down[..., :-1]),
    }


def _folds(across: Tensor, down: Tensor) -> Tensor:
    """Return the share of det J ≤ 0; differences along x and y are (N, 2, H − 1, W − 1) each."""
    determinant = (1 + across[:, 0]) * (1 + down[:, 1]) - down[:, 0] * across[:, 1]
    folded = (determinant <= 0).sum((1, 2))
    return folded.double() / max(1, determinant[0].numel())

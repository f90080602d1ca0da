"""Warping images along a flow field.

Convention
    flow    (N, 2, H, W) in pixels, channels (dx, dy): dx to the right, dy downwards
    warp    backward: output[y, x] = image[y + dy, x + dx], bilinear, edges repeated
    zero    zero flow is the identity, bit for bit
"""

from __future__ import annotations

import torch
from torch import Tensor

from project.errors import InputError


def warp(images: Tensor, flow: Tensor) -> Tensor:
    r"""Sample images along a flow field, bilinearly between the four neighbours.

    $$o(u, v) = x(u + \Delta u, v + \Delta v)$$, coordinates clamped to the image.

    Built on gathers, not on ``grid_sample``: that one is not exact at zero flow, where every flow
    attack starts, and normalises its coordinates, which loses bits.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (1) [paper].

    Args:
        images: (N, C, H, W).
        flow: (N, 2, H, W) in pixels, channels (dx, dy).

    Returns:
        (N, C, H, W), differentiable in both arguments.

    Raises:
        ValueError: if the shapes do not fit.
    """
    batch, _, height, width = images.shape
    if flow.shape != (batch, 2, height, width):
        raise InputError(
            f"flow must be (N, 2, H, W) = {(batch, 2, height, width)} to fit the images, "
            f"got {tuple(flow.shape)}."
        )
    columns, x_part = _split(flow[:, 0], torch.arange(width, device=flow.device))
    rows, y_part = _split(flow[:, 1], torch.arange(height, device=flow.device)[:, None])
    right = (columns + 1).clamp(max=width - 1)
    below = (rows + 1).clamp(max=height - 1)
    top = torch.lerp(_pick(images, rows, columns), _pick(images, rows, right), x_part)
    bottom = torch.lerp(_pick(images, below, columns), _pick(images, below, right), x_part)
    return torch.lerp(top, bottom, y_part)


def smoothness(flow: Tensor) -> Tensor:
    r"""Measure how unsmooth a flow is: the flow loss of stAdv.

    $$\sum_p \sum_{q \in N_4(p)} \sqrt{\|\Delta u_p - \Delta u_q\|^2 + \|\Delta v_p -
    \Delta v_q\|^2 + 10^{-8}}$$, so each pair of neighbours counts twice. Without the 1e-8 the
    gradient at zero flow is NaN.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (4) [paper].

    Args:
        flow: (N, 2, H, W) in pixels.

    Returns:
        (N,) in pixels, at least 2e-4 times the number of neighbouring pairs.
    """
    across = (flow[..., :, 1:] - flow[..., :, :-1]).square().sum(1)
    down = (flow[..., 1:, :] - flow[..., :-1, :]).square().sum(1)
    return 2 * ((across + 1e-8).sqrt().sum((1, 2)) + (down + 1e-8).sqrt().sum((1, 2)))


def _split(offset: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """Split clamped coordinates into a whole pixel (int64) and the part of the way to the next.

    The offset is split before the position is added, so that no bit of it is lost on large images.
    """
    low = -position.to(offset.dtype)
    offset = offset.clamp(low, low + (position.numel() - 1))
    whole = offset.detach().floor()
    return whole.long() + position, (offset - whole).unsqueeze(1)


def _pick(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    channels, width = images.shape[1], images.shape[3]
    index = (rows * width + columns).flatten(1).unsqueeze(1).expand(-1, channels, -1)
    return images.flatten(2).gather(2, index).view_as(images)

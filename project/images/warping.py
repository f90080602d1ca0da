"""Warping images along a flow field.

Convention
    flow    (N, 2, H, W) in pixels, channels (dx, dy): dx to the right, dy downwards
    warp    backward: output[y, x] = image[y + dy, x + dx], bilinear, edges repeated
    zero    zero flow is the identity, bit for bit
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from project.core.errors import InputError


def warp(images: Tensor, flow: Tensor) -> Tensor:
    r"""Sample images along a flow field, bilinearly between the four neighbours.

    $$o(u, v) = x(u + \Delta u, v + \Delta v)$$, coordinates clamped to the image.

    Built on ``gather`` and ``lerp``, not on ``grid_sample``: the latter normalises its coordinates,
    which loses bits, so that zero flow, where every flow attack starts, would not be the identity.

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
    # With one more column and row, the right and lower neighbours are at fixed distances even for
    # pixels on the border; the values repeated there get weight 0.
    larger = F.pad(images, (0, 1, 0, 1), mode="replicate")
    moved: Tensor = _Sampling.apply(larger, flow)
    return moved


def smoothness(flow: Tensor) -> Tensor:
    r"""Measure how unsmooth a flow is, by the flow loss of stAdv.

    $$\sum_p \sum_{q \in N_4(p)} \sqrt{\|\Delta u_p - \Delta u_q\|^2 + \|\Delta v_p -
    \Delta v_q\|^2 + 10^{-8}}$$, so each pair of neighbours counts twice. Without the 1e-8 the
    gradient at zero flow is NaN.

    Source: Xiao et al., "Spatially Transformed Adversarial Examples", ICLR 2018, eq. (4) [paper].

    Args:
        flow: (N, 2, H, W) in pixels.

    Returns:
        (N,) in pixels, at least 2e-4 times the number of neighbouring pairs.
    """
    unsmoothness: Tensor = _Unsmoothness.apply(flow)
    return unsmoothness


class _Sampling(Function):
    """Bilinear sampling with its gradient in closed form.

    Composed of torch's own functions, it would save six tensors of the images' size for the
    backward pass instead of two.
    """

    @staticmethod
    def forward(context: Any, larger: Tensor, flow: Tensor) -> Tensor:
        """Return samples (N, C, H, W) of images (N, C, H + 1, W + 1)."""
        place, parts, inside = _split(flow)
        shape = (*larger.shape[:2], *flow.shape[2:])
        place = place.flatten(1).unsqueeze(1).expand(-1, shape[1], -1)
        here, right, below, beyond = (
            larger.flatten(2)[..., far:].gather(2, place).view(shape) for far in _far(shape[3])
        )
        x_part, y_part = parts.unsqueeze(2).unbind(1)
        # lerp with weight 0 returns its first argument exactly: zero flow is the identity.
        top, bottom = torch.lerp(here, right, x_part), torch.lerp(below, beyond, x_part)
        moved = torch.lerp(top, bottom, y_part)
        # Derivatives by dx and dy; the gathered tensors are not needed any more and overwritten.
        slope_x = right.sub_(here).lerp_(beyond.sub_(below), y_part)
        kept = (place, parts) if context.needs_input_grad[0] else ()
        context.save_for_backward(slope_x, bottom.sub_(top), inside, *kept)
        return moved

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Return the gradients with respect to images and flow, None where not required."""
        slope_x, slope_y, inside, *kept = context.saved_tensors
        of_images = _spread(gradient, *kept) if kept else None
        if not context.needs_input_grad[1]:
            return of_images, None
        # A clamped coordinate does not follow the flow, so its gradient is 0.
        slopes = [torch.linalg.vecdot(gradient, slope, dim=1) for slope in (slope_x, slope_y)]
        return of_images, torch.stack(slopes, 1).mul_(inside)


class _Unsmoothness(Function):
    """The flow loss, with its gradient in closed form, computed in the forward pass."""

    @staticmethod
    def forward(context: Any, flow: Tensor) -> Tensor:
        """Return the flow loss, (N,)."""
        across, down = flow.diff(dim=3), flow.diff(dim=2)
        widths, heights = _lengths(across), _lengths(down)
        if context.needs_input_grad[0]:
            # Saves one tensor of the flow's size, instead of differences and lengths.
            slope = torch.zeros_like(flow)
            across /= widths
            down /= heights
            slope[..., 1:] += across
            slope[..., :-1] -= across
            slope[..., 1:, :] += down
            slope[..., :-1, :] -= down
            context.save_for_backward(slope)
        return 2 * (widths.sum((1, 2, 3)) + heights.sum((1, 2, 3)))

    @staticmethod
    @once_differentiable
    def backward(context: Any, gradient: Tensor) -> Tensor:
        """Return the gradient with respect to the flow."""
        (slope,) = context.saved_tensors
        found: Tensor = slope * (2 * gradient).view(-1, 1, 1, 1)
        return found


def _split(flow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split coordinates, clamped to the image, into a pixel index and a fractional part.

    The offset is split before the position is added, so that no bit of it is lost on large images.

    Returns:
        The pixels' flat indices (N, H, W), int64, in images of width W + 1; the fractions of the
        way to the next column and row, (N, 2, H, W) in [0, 1); where nothing was clamped, bool
        (N, 2, H, W).
    """
    height, width = flow.shape[2:]
    columns, rows = (
        torch.arange(side, dtype=torch.int32, device=flow.device) for side in (width, height)
    )
    position = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    # The offset is clamped, not the coordinate, to [-column, W - 1 - column] (likewise for rows):
    # both bounds are whole numbers, so that a clamped sample is a border pixel exactly.
    # W - 1 - column is the column of the mirrored image.
    offset = flow.clamp(-position.to(flow.dtype), position.flip(1, 2).to(flow.dtype))
    inside = offset == flow
    whole = offset.floor()
    right, down = whole.int().add_(position).unbind(1)
    return torch.add(right, down, alpha=width + 1).long(), offset.sub_(whole), inside


def _far(width: int) -> tuple[int, int, int, int]:
    """Return a pixel's four neighbours (itself, right, below, both) as offsets of the flat index.

    The images are one column wider than ``width``.
    """
    return 0, 1, width + 1, width + 2


def _spread(gradient: Tensor, place: Tensor, parts: Tensor) -> Tensor:
    """Return the gradient of the padded images: each sample's, shared among its four neighbours."""
    count, channels, height, width = gradient.shape
    x_part, y_part = parts.unsqueeze(2).unbind(1)
    above, below = gradient * (1 - y_part), gradient * y_part
    found = gradient.new_zeros(count, channels, (height + 1) * (width + 1))
    shares = (above * (1 - x_part), above * x_part, below * (1 - x_part), below * x_part)
    for far, share in zip(_far(width), shares, strict=True):
        found[..., far:].scatter_add_(2, place, share.flatten(2))
    return found.view(count, channels, height + 1, width + 1)


def _lengths(differences: Tensor) -> Tensor:
    along_x, along_y = differences.chunk(2, dim=1)
    return along_x.square().addcmul_(along_y, along_y).add_(1e-8).sqrt_()

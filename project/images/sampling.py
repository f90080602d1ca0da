"""Moving pixels: images and labels sampled at the places that each of their new pixels comes from.

Convention
    rows, columns  (N, H, W) in pixels from the image's upper and left edge: pixel i lies between i
                   and i + 1, its middle at i + 1/2
    place          (N, H, W) int64, row · W + column of a pixel
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.precision import without_autocast

Border = Literal["mirrored", "zeros"]
"""What lies beyond an edge: the image mirrored at it (… b a | a b …), or nothing, which is black in
images and void in labels."""
Sampling = Literal["bilinear", "nearest"]
"""What an image has between the middles of its pixels: a blend of four, or the nearest."""


def pick(pixels: Tensor, place: Tensor) -> Tensor:
    """Return the pixels at ``place``, bit for bit.

    Args:
        pixels: (N, H, W) or (N, C, H, W), of any type.
        place: (N, H', W') int64.

    Returns:
        (N, H', W') or (N, C, H', W'), differentiable.
    """
    index, shape = place.flatten(1), (*pixels.shape[:-2], *place.shape[1:])
    if pixels.ndim == 4:
        index = index[:, None].expand(-1, pixels.shape[1], -1)
    return pixels.flatten(-2).gather(-1, index).view(shape)


@without_autocast
def sample(
    images: Tensor, rows: Tensor, columns: Tensor, beyond: Literal["border", "reflection", "zeros"]
) -> Tensor:
    """Sample images bilinearly.

    By one ``grid_sample``: the cheapest on a CPU, but its normalised coordinates lose about 1e-5
    pixels in float32. Where pixels only change places, :func:`pick` them.

    Args:
        images: (N, C, H, W).
        rows: (N, H', W'); overwritten.
        columns: (N, H', W'); overwritten.
        beyond: what lies beyond the middles of the outermost pixels: the same pixels, the image
            mirrored at its edges, or black.

    Returns:
        (N, C, H', W'), differentiable in the images.
    """
    height, width = images.shape[-2:]
    grid = torch.stack([columns.mul_(2 / width).sub_(1), rows.mul_(2 / height).sub_(1)], -1)
    moved: Tensor = F.grid_sample(
        images.to(grid.dtype), grid, padding_mode=beyond, align_corners=False
    )
    return moved.to(images.dtype)


def nearest(rows: Tensor, columns: Tensor, width: int) -> Tensor:
    """Return the pixel in which each place inside an image of this width lies."""
    return rows.long().mul_(width).add_(columns.long())


def inside(place: Tensor, length: Tensor, border: Border) -> tuple[Tensor, Tensor | None]:
    """Bring places along an axis to the pixels of an image.

    Args:
        place: in pixels from the image's edge; overwritten.
        length: of the image in pixels, at least 1; broadcast.
        border: what lies beyond its edges.

    Returns:
        The places in [1/2, length - 1/2], and which of them were beyond the edges; None for none.
    """
    beyond = None
    if border == "mirrored":
        # From the edge on, the image and its mirror image repeat every two lengths.
        period = 2 * length
        place -= (place / period).floor_().mul_(period)
        place = torch.minimum(place, period - place)
    else:
        beyond = (place < 0) | (place >= length)
    return torch.minimum(place.clamp_(min=0.5), length - 0.5), beyond

"""Masks of salient regions: their least area, and soft edges."""

from __future__ import annotations

import torch
from torch import Tensor

from project.images.blur import gaussian_blur


def lifted(maps: Tensor, min_area: float) -> Tensor:
    """Raise the most salient pixels of each map to 1, so that they are in every mask.

    Pixels of saliency 0 are only raised where the whole map is 0: then all are.

    Args:
        maps: (N, 1, H, W) in [0, 1].
        min_area: share of pixels to raise (more where values tie, fewer where they are 0); the
            most salient pixel always is.
    """
    falling = maps.flatten(1).sort(1, descending=True).values
    level = falling[:, max(0, int(min_area * falling.shape[1]) - 1)]
    least = falling.masked_fill(falling == 0, 2.0).amin(1)  # the smallest that is not 0
    level = torch.where(least <= 1, level.maximum(least), level)
    return maps.masked_fill(maps >= level.view(-1, 1, 1, 1), 1.0)


def softened(masks: Tensor, edge: float) -> Tensor:
    r"""Fade binary masks out towards their border: $$\max(0, 2 G_\sigma * M - 1)$$.

    That is 1 deep inside, 0 on a straight border and outside of it. A mask so thin that this is
    below one half everywhere keeps its hard edge until it has grown. Masks are blurred one by one:
    convolutions round differently in batches of another size.

    Args:
        masks: (N, 1, H, W), 0 or 1.
        edge: σ of the Gaussian in pixels.
    """
    blurred = torch.cat([gaussian_blur(mask[None], edge) for mask in masks])
    soft = (2 * blurred - 1).clamp(0, 1) * masks
    return torch.where(soft.amax((1, 2, 3), keepdim=True) >= 0.5, soft, masks)

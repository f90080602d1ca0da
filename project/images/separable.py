"""Separable linear maps of images: one matrix along the height, one along the width.

Convention
    images  (N, C, H, W)
    rows    (N or 1, H', H), maps each column of pixels
    columns (N or 1, W', W), maps each row of pixels
"""

from __future__ import annotations

import torch
from torch import Tensor

from project.core.precision import without_autocast


@without_autocast
def along_axes(images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    r"""Return $$R\,X\,C^\top$$ for each channel X of each image.

    Images are multiplied one by one: batched products round differently in batches of other sizes.

    Args:
        images: (N, C, H, W).
        rows: R, (N or 1, H', H).
        columns: C, (N or 1, W', W).

    Returns:
        (N, C, H', W'), differentiable.
    """
    every = (len(images), -1, -1)
    triples = zip(images, rows.expand(every), columns.expand(every), strict=True)
    return torch.stack([row @ image @ column.mT for image, row, column in triples])

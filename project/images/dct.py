r"""Discrete cosine transform of the 8×8 blocks of an image, as in JPEG, and of whole axes.

Convention
    images        (N, C, H, W) in any unit
    coefficients  (N, C, ⌈H/8⌉, ⌈W/8⌉, 8, 8), the last axes (frequency down, frequency across)
    transform     orthonormal DCT-II: a block and its coefficients have the same Euclidean norm
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.precision import without_autocast

BLOCK = 8


@without_autocast
def block_dct(images: Tensor) -> Tensor:
    r"""Transform the 8×8 blocks of images.

    $$X_{uv} = \sum_{yx} A_{uy} A_{vx}\, x_{yx},\quad A_{uy} = c_u \cos\frac{(2y+1) u \pi}{16}$$,
    $$c_0 = \sqrt{1/8}$$, all other $$c_u = 1/2$$. Sides that 8 does not divide are padded by
    repeating the last row and column.

    Source: Ahmed, Natarajan & Rao, "Discrete Cosine Transform", IEEE Trans. Computers, 1974
    [paper].

    Args:
        images: (N, C, H, W).

    Returns:
        (N, C, ⌈H/8⌉, ⌈W/8⌉, 8, 8), differentiable.
    """
    height, width = images.shape[2:]
    filled = F.pad(images, (0, -width % BLOCK, 0, -height % BLOCK), mode="replicate")
    down, across = filled.shape[2] // BLOCK, filled.shape[3] // BLOCK
    blocks = filled.reshape(*filled.shape[:2], down, BLOCK, across, BLOCK).transpose(3, 4)
    waves = _block_waves(images.dtype, images.device)
    return (blocks.flatten(4) @ waves.mT).view(blocks.shape)


@without_autocast
def block_idct(coefficients: Tensor, size: Sequence[int]) -> Tensor:
    """Invert :func:`block_dct`.

    Args:
        coefficients: (N, C, ⌈H/8⌉, ⌈W/8⌉, 8, 8).
        size: (H, W) of the images; the padding is cut off.

    Returns:
        (N, C, H, W), differentiable.
    """
    waves = _block_waves(coefficients.dtype, coefficients.device)
    blocks = (coefficients.flatten(4) @ waves).view(coefficients.shape)
    images = blocks.transpose(3, 4).flatten(4, 5).flatten(2, 3)
    return images[..., : size[0], : size[1]]


@cache
def _block_waves(dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return the 2-D transform of a block, flattened row by row, as one matrix (64, 64).

    One large product is faster than two products by the 8×8 matrix for each of many blocks, though
    it takes four times as many multiplications.
    """
    waves = cosines(BLOCK)
    return torch.kron(waves, waves).to(device, dtype)


@cache
def cosines(size: int) -> Tensor:
    """Return the orthonormal DCT-II matrix A, (size, size) float64, rows by frequency."""
    place = torch.arange(size, dtype=torch.float64)
    matrix = torch.cos((2 * place + 1) * place[:, None] * (math.pi / (2 * size)))
    matrix *= math.sqrt(2 / size)
    matrix[0] = math.sqrt(1 / size)
    return matrix

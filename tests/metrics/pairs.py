"""Pairs of 8-bit images that the tests of perceptual metrics share."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor


def pair(n=3, height=24, width=31, seed=0, change=20) -> tuple[Tensor, Tensor]:
    """Return noise, and noise that differs from it by up to ``change`` grey levels."""
    generator = torch.Generator().manual_seed(seed)
    clean = torch.randint(0, 256, (n, 3, height, width), generator=generator)
    difference = torch.randint(-change, change + 1, clean.shape, generator=generator)
    return clean / 255, (clean + difference).clamp(0, 255) / 255


def scenes(n=2, height=48, width=57, seed=0) -> tuple[Tensor, Tensor]:
    """Return smooth textures with a white and a black flat area, and slightly changed ones.

    Half of each area is left as it is, the other half is changed too.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(n, 3, height + 4, width + 4, generator=generator)
    levels = (F.avg_pool2d(noise, 5, 1) * 500 - 120).clamp(0, 255).round()
    levels[..., :14, :20] = 255
    levels[..., 20:36, 10:40] = 0
    change = torch.randint(-4, 5, levels.shape, generator=generator)
    change[..., :, 10:25] = 0
    return levels / 255, (levels + change).clamp(0, 255) / 255


def as_arrays(images: Tensor) -> list[np.ndarray]:
    """Return images as what other packages take, (H, W, 3) uint8 each."""
    return list((images * 255).round().byte().permute(0, 2, 3, 1).numpy())

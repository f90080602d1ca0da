"""Brightness and colour apart: RGB to YUV and back, RGB to CIE Lab; colourfulness.

Convention
    images  (N, 3, H, W), R'G'B' in [0, 1]
    luma    Y = 0.299 R + 0.587 G + 0.114 B                           (ITU-R BT.601)
    chroma  (N, 2, H, W), U = 0.492 (B − Y), V = 0.877 (R − Y); 0 for every grey
    Lab     (N, 3, H, W), of sRGB, 2° observer, white D65; L in [0, 100], a and b about ±100
"""

from __future__ import annotations

import torch
from torch import Tensor

from project.core.precision import without_autocast

_RED, _GREEN, _BLUE = 0.299, 0.587, 0.114
_U_SCALE, _V_SCALE = 0.492, 0.877

# Linear sRGB to XYZ (D65), each row divided by the white point, as in IEC 61966-2-1.
_RGB_TO_XYZ = (
    (0.412453 / 0.95047, 0.357580 / 0.95047, 0.180423 / 0.95047),
    (0.212671, 0.715160, 0.072169),
    (0.019334 / 1.08883, 0.119193 / 1.08883, 0.950227 / 1.08883),
)


def luma(images: Tensor) -> Tensor:
    """Return Y, (N, 1, H, W), of images (N, 3, H, W)."""
    red, green, blue = images.chunk(3, dim=1)
    return (_RED * red).add_(green, alpha=_GREEN).add_(blue, alpha=_BLUE)


def chroma(images: Tensor) -> Tensor:
    """Return U and V, (N, 2, H, W), of images (N, 3, H, W)."""
    y = luma(images)
    return torch.cat([_U_SCALE * (images[:, 2:] - y), _V_SCALE * (images[:, :1] - y)], 1)


def chroma_to_rgb(uv: Tensor) -> Tensor:
    """Return the RGB of luma 0, (N, 3, H, W), that chroma (N, 2, H, W) adds to a grey."""
    # Green follows from 0 = 0.299 R + 0.587 G + 0.114 B.
    red, blue = uv[:, 1:] / _V_SCALE, uv[:, :1] / _U_SCALE
    green = (red * (-_RED / _GREEN)).sub_(blue, alpha=_BLUE / _GREEN)
    return torch.cat([red, green, blue], 1)


def colourfulness(images: Tensor) -> Tensor:
    r"""Measure how colourful images are: 0 for a grey one, about 15 to 110 for photos.

    $$\sqrt{\sigma_{rg}^2 + \sigma_{yb}^2} + 0.3 \sqrt{\mu_{rg}^2 + \mu_{yb}^2}$$ in 8-bit levels,
    with rg = R − G and yb = (R + G) / 2 − B.

    Source: Hasler & Süsstrunk, "Measuring colourfulness in natural images", Human Vision and
    Electronic Imaging VIII, 2003, section 6 [paper].

    Args:
        images: (N, 3, H, W) in [0, 1].

    Returns:
        (N,).
    """
    red, green, blue = images.unbind(1)
    opponents = torch.stack([red - green, (red + green) / 2 - blue], 1).flatten(2) * 255
    spread = opponents.var(2, correction=0).sum(1).sqrt()
    return spread + 0.3 * opponents.mean(2).square().sum(1).sqrt()


@without_autocast
def rgb_to_lab(images: Tensor) -> Tensor:
    """Convert sRGB in [0, 1] to CIE Lab under D65, (N, 3, H, W) each; L in [0, 100]."""
    linear = torch.where(images > 0.04045, ((images + 0.055) / 1.055) ** 2.4, images / 12.92)
    xyz = torch.einsum("kc,nchw->nkhw", images.new_tensor(_RGB_TO_XYZ), linear)
    root = torch.where(xyz > 0.008856, xyz.clamp(min=1e-9) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = root.unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)

"""Pictures of what an attack did, from plain arrays.

Convention
    image   (H, W, 3) uint8
    flow    (2, H, W) in pixels, channels (dx, dy): dx to the right, dy downwards
    mask    (H, W) uint8, 255 where the image may change
    labels  (H, W) uint8 class ids, 255 = void
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Bytes = NDArray[np.uint8]
VOID = 255
_FACTORS = (64, 32, 16, 8, 4, 2, 1)


def difference(clean: Bytes, adversarial: Bytes) -> tuple[Image.Image, int]:
    """Show the signed change around mid-grey, enlarged.

    At most one changed value in twenty is cut off: a moved edge changes a few pixels much more
    than the rest, which would otherwise stay invisible.

    Args:
        clean: image.
        adversarial: image of the same shape.

    Returns:
        128 + k · (adversarial − clean), and k, a power of two up to 64.
    """
    change = adversarial.astype(np.int32) - clean
    changed = np.abs(change[change != 0])
    usual = float(np.quantile(changed, 0.95)) if changed.size else 0.0
    factor = next((k for k in _FACTORS if k * usual <= 127), 1)
    return Image.fromarray((128 + factor * change).clip(0, 255).astype(np.uint8)), factor


def flow_colours(flow: NDArray[Any]) -> tuple[Image.Image, float]:
    """Show a flow field: hue is the direction, saturation the length; white does not move.

    Args:
        flow: flow field.

    Returns:
        The picture, and the largest displacement in pixels, which is the full colour.
    """
    dx, dy = flow.astype(np.float64)
    length = np.hypot(dx, dy)
    largest = float(length.max(initial=0.0))
    share = length / largest if largest > 0 else length
    return Image.fromarray(_wheel(np.arctan2(dy, dx), share)), largest


def flow_legend(size: int = 96) -> Image.Image:
    """Return the colour wheel of :func:`flow_colours`, transparent outside the circle."""
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    dx, dy = np.meshgrid(axis, axis)
    length = np.hypot(dx, dy)
    colours = _wheel(np.arctan2(dy, dx), length.clip(0, 1))
    alpha = ((1 - length) * size / 2 + 0.5).clip(0, 1) * 255
    return Image.fromarray(np.dstack([colours, alpha.astype(np.uint8)]))


def spotlight(image: Bytes, mask: Bytes) -> Image.Image:
    """Show where an image may change: the rest is grey and pale."""
    inside = (mask / 255.0)[..., None]
    outside = 0.25 * _grey(image) + 0.75 * 235
    return Image.fromarray((inside * image + (1 - inside) * outside).round().astype(np.uint8))


def overlay(image: Bytes, labels: Bytes) -> Image.Image:
    """Show classes as colours over the grey image; void pixels stay grey."""
    colours = palette()[labels].astype(np.float64)
    weight = np.where(labels == VOID, 0.0, 0.6)[..., None]
    blend = weight * colours + (1 - weight) * _grey(image)
    return Image.fromarray(blend.round().astype(np.uint8))


@cache
def palette() -> Bytes:
    """Return a colour for each class id, (256, 3); neighbours differ in hue by the golden angle."""
    colours = [
        colorsys.hls_to_rgb((0.58 + 0.61803398875 * k) % 1, (0.5, 0.66, 0.38)[k % 3], 0.62)
        for k in range(256)
    ]
    return (np.array(colours) * 255).round().astype(np.uint8)


def strip(pictures: Sequence[tuple[str, Image.Image]], height: int = 224) -> Image.Image:
    """Put pictures side by side under their labels, all of one height.

    Args:
        pictures: label and picture, left to right.
        height: of the pictures, in pixels.
    """
    gap, line = 8, 18
    scaled = [_to_height(picture.convert("RGB"), height) for _, picture in pictures]
    width = sum(picture.width + gap for picture in scaled) - gap
    canvas = Image.new("RGB", (width, height + line), "white")
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(size=13)
    left = 0
    for (label, _), picture in zip(pictures, scaled, strict=True):
        # Pillow's own font has no multiplication sign.
        draw.text((left, 0), label.replace("×", "x"), fill="black", font=font)
        canvas.paste(picture, (left, line))
        left += picture.width + gap
    return canvas


def _to_height(picture: Image.Image, height: int) -> Image.Image:
    width = round(picture.width * height / picture.height)
    enlarge = height > picture.height
    return picture.resize((width, height), Image.Resampling.NEAREST if enlarge else None)


def _grey(image: Bytes) -> NDArray[np.float64]:
    """Luma of an image, (H, W, 1), 0 … 255."""
    luma: NDArray[np.float64] = image @ np.array([0.299, 0.587, 0.114])
    return luma[..., None]


def _wheel(angle: NDArray[np.float64], share: NDArray[np.float64]) -> Bytes:
    """Colour directions: saturation ``share`` in [0, 1] of the hue at ``angle`` in radians."""
    sector = (angle / (2 * np.pi) * 6)[..., None] + np.array([0.0, 4.0, 2.0])
    hue = (np.abs(sector % 6 - 3) - 1).clip(0, 1)
    colours: NDArray[np.float64] = 255 * (1 - share[..., None] * (1 - hue))
    return colours.round().astype(np.uint8)

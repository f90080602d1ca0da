"""Distortions made by hand: the attention check, and the examples of the instructions.

The examples show a drawn landscape, so that none of the study's images is used, and the kinds of
change there are, made plain. None comes from an attack, or raters would learn what one attack looks
like.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.ndimage import map_coordinates

from project.report.pictures import Bytes
from project.statistics.bootstrap import Floats

_AMPLITUDE = 72.0  # of 255: plain on any photo, white and black ones too


def obvious(image: Bytes) -> Bytes:
    """Lay a coarse chessboard over a disc in the middle, so that nobody who looks can miss it.

    Args:
        image: (H, W, 3).
    """
    y, x = _centred(image)
    radius = 0.3 * min(image.shape[:2])
    square = max(2, round(radius / 4))
    board = np.where((y // square + x // square) % 2, 1.0, -1.0) * (np.hypot(y, x) < radius)
    return _rounded(image + _AMPLITUDE * board[..., None])


def noisy(image: Bytes) -> Bytes:
    """Add even noise of a tenth of the range."""
    return _rounded(image + np.random.default_rng(0).uniform(-26, 26, image.shape))


def tinted(image: Bytes) -> Bytes:
    """Shift the colours towards red."""
    return _rounded(image + np.array([26.0, -8.0, -14.0]))


def bent(image: Bytes) -> Bytes:
    """Twist a disc in the middle by up to a third of a radian."""
    y, x = _centred(image)
    radius = 0.4 * min(image.shape[:2])
    angle = 0.35 * np.clip(1 - np.hypot(y, x) / radius, 0, 1)
    turned = np.stack(
        [y * np.cos(angle) + x * np.sin(angle), x * np.cos(angle) - y * np.sin(angle)]
    )
    places = turned + (np.array(image.shape[:2]) / 2)[:, None, None]
    channels = [
        map_coordinates(image[..., c].astype(float), places, order=1, mode="nearest")
        for c in range(3)
    ]
    return _rounded(np.stack(channels, -1))


class Example(NamedTuple):
    """A picture of the instructions, what to say of it, and whether it is the original."""

    png: bytes
    caption: str
    same: bool


def examples() -> dict[str, Example]:
    """Return the examples by the name of their address, the original first."""
    original = landscape()
    return {
        "original": Example(png(original), "the original", True),
        "copy": Example(png(original), "the same", True),
        "noisy": Example(png(noisy(original)), "not the same: grainy", False),
        "tinted": Example(png(tinted(original)), "not the same: colours", False),
        "bent": Example(png(bent(original)), "not the same: bent", False),
        "covered": Example(png(obvious(original)), "not the same: a pattern", False),
    }


def landscape(height: int = 240, width: int = 240) -> Bytes:
    """Draw hills under a setting sun, (H, W, 3)."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    image = _mix([98, 142, 196], [250, 214, 170], np.clip(y / 0.7, 0, 1))
    sun = np.clip((0.1 - np.hypot(y - 0.36, x - 0.66)) * width / 2, 0, 1)
    image = _over(image, [255, 240, 200], sun)
    ridges = (
        (0.52 + 0.07 * np.sin(6 * x + 1) + 0.02 * np.sin(23 * x), [128, 140, 168]),
        (0.66 + 0.06 * np.sin(5 * x + 3) + 0.012 * np.sin(31 * x), [86, 116, 112]),
        (0.82 + 0.05 * np.sin(4 * x + 5) + 0.01 * np.sin(47 * x), [52, 82, 68]),
    )
    for ridge, colour in ridges:
        image = _over(image, colour, np.clip((y - ridge) * height, 0, 1))
    return image.round().astype(np.uint8)


def png(image: Bytes) -> bytes:
    """Return an image as PNG without any text, encoded alike for all."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


def _centred(image: Bytes) -> Floats:
    height, width = image.shape[:2]
    return np.mgrid[:height, :width] - np.array([height, width])[:, None, None] / 2


def _rounded(image: Floats) -> Bytes:
    return image.round().clip(0, 255).astype(np.uint8)


def _mix(first: list[int], second: list[int], share: Floats) -> Floats:
    mixed: Floats = np.array(first) * (1 - share[..., None]) + np.array(second) * share[..., None]
    return mixed


def _over(image: Floats, colour: list[int], share: Floats) -> Floats:
    covered: Floats = image * (1 - share[..., None]) + np.array(colour) * share[..., None]
    return covered

"""Changes made by hand: the attention check, and the examples of the instructions."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import map_coordinates

Bytes = NDArray[np.uint8]
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


def _centred(image: Bytes) -> NDArray[np.float64]:
    height, width = image.shape[:2]
    return np.mgrid[:height, :width] - np.array([height, width])[:, None, None] / 2


def _rounded(image: NDArray[np.float64]) -> Bytes:
    return image.round().clip(0, 255).astype(np.uint8)

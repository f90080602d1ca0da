"""The embedded data set: textured shapes on textured backgrounds, drawn from the index alone.

Convention
    Coordinates are (y, x) in pixels, pixel centres at integers. A shape is a signed distance in
    pixels, negative inside. A pixel that object and background share is void (255) in the mask.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from project.core.losses import VOID
from project.data.decoding import Pixels

Field = npt.NDArray[np.float32]
Distance = Callable[[Field, Field], Field]

# Raise when any pixel of any sample changes: stored adversarial images are keyed by it.
DRAWING_VERSION = 1


class Drawing(NamedTuple):
    """An image, (S, S, 3) uint8, its mask, (S, S) uint8, and the class of its last object."""

    image: Pixels
    mask: Pixels
    last: int


def _disc(y: Field, x: Field) -> Field:
    return np.hypot(y, x) - np.float32(0.92)


def _ring(y: Field, x: Field) -> Field:
    return np.abs(np.hypot(y, x) - np.float32(0.74)) - np.float32(0.24)


def _square(y: Field, x: Field) -> Field:
    return np.maximum(np.abs(y), np.abs(x)) - np.float32(0.80)


def _cross(y: Field, x: Field) -> Field:
    y, x = np.abs(y), np.abs(x)
    arm, length = np.float32(0.32), np.float32(1.0)
    distance: Field = np.minimum(np.maximum(y - length, x - arm), np.maximum(y - arm, x - length))
    return distance


def _triangle(y: Field, x: Field) -> Field:
    slanted = np.float32(np.sqrt(0.75)) * np.abs(x) - np.float32(0.5) * y
    return np.maximum(slanted, y) - np.float32(0.55)


def _star(y: Field, x: Field) -> Field:
    """A five-pointed star: the nearest of ten half edges, by folding the plane."""
    sector = np.float32(2 * np.pi / 5)
    angle = np.arctan2(x, -y)
    folded = np.abs(angle - sector * np.round(angle / sector))
    radius = np.hypot(y, x)
    along, across = radius * np.cos(folded), radius * np.sin(folded)
    # The edge runs from the tip (1.1, 0) to the inner corner of radius 0.46.
    corner = 0.46 * np.array([np.cos(sector / 2), np.sin(sector / 2)])
    edge = corner - np.array([1.1, 0.0])
    normal = np.array([edge[1], -edge[0]]) / np.hypot(*edge)
    distance: Field = ((along - 1.1) * normal[0] + across * normal[1]).astype(np.float32)
    return distance


SHAPES: dict[str, Distance] = {
    "disc": _disc,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
}
SHAPE_NAMES = tuple(SHAPES)


def draw(
    random: np.random.Generator, size: int, max_objects: int, shapes: Sequence[str] = SHAPE_NAMES
) -> Drawing:
    """Draw one sample.

    Args:
        random: where everything about it comes from.
        size: side of the square image in pixels.
        max_objects: 1 … max_objects shapes, later ones in front.
        shapes: names of the K shapes to draw from.

    Returns:
        Image, mask (0 background, 1 … K shapes, 255 rim) and the last shape's number, 0 … K − 1.
    """
    y, x = np.mgrid[:size, :size].astype(np.float32)
    ground = random.uniform(0, 1)
    canvas = _texture(random, y, x, hue=ground, strength=0.45)
    mask = np.zeros((size, size), np.uint8)
    count = int(random.integers(1, max_objects + 1))
    shape = 0
    for radius, centre in _places(random, size, count):
        shape = int(random.integers(len(shapes)))
        dy, dx = y - np.float32(centre[0]), x - np.float32(centre[1])
        turn = random.uniform(0, 2 * np.pi)
        distance = _turned(SHAPES[shapes[shape]], dy, dx, radius, turn)
        # The object's hue keeps away from the background's, so that every object can be seen.
        hue = ground + random.uniform(0.25, 0.75)
        _paint(canvas, distance, _texture(random, y, x, hue, strength=0.9))
        _mark(mask, distance, shape + 1)
    canvas += random.normal(0, 0.012, canvas.shape).astype(np.float32)
    image: Pixels = np.rint(canvas.clip(0, 1) * 255).astype(np.uint8)
    return Drawing(image, mask, shape)


def _places(
    random: np.random.Generator, size: int, count: int
) -> list[tuple[float, tuple[float, float]]]:
    """Draw radii and centres of objects, each the best of a few tries at keeping them apart."""
    low, high = (0.24, 0.40) if count == 1 else (0.15, 0.25)
    places: list[tuple[float, tuple[float, float]]] = []
    for _ in range(count):
        tries = []
        for _ in range(8):
            radius = size * random.uniform(low, high)
            margin = 0.85 * radius
            centre = random.uniform(margin, size - margin, 2)
            gaps = [np.hypot(*(centre - other)) - radius - near for near, other in places]
            tries.append((min(gaps, default=0.0), radius, (centre[0], centre[1])))
        _, radius, place = max(tries)
        places.append((radius, place))
    return places


def _turned(shape: Distance, dy: Field, dx: Field, radius: float, turn: float) -> Field:
    """Return the signed distance in pixels to a shape of a radius, turned by an angle."""
    cosine, sine = np.float32(np.cos(turn) / radius), np.float32(np.sin(turn) / radius)
    return shape(cosine * dy + sine * dx, cosine * dx - sine * dy) * np.float32(radius)


def _paint(canvas: Field, distance: Field, paint: Field) -> None:
    """Paint over the canvas where the distance is negative, with a thin dark edge inside."""
    cover = (0.5 - distance).clip(0, 1)[..., None]
    edge = 0.75 + 0.25 * (-distance / 2).clip(0, 1)[..., None]
    canvas += cover * (paint * edge - canvas)


def _mark(mask: Pixels, distance: Field, number: int) -> None:
    mask[distance < 0.5] = VOID
    mask[distance <= -0.5] = number


def _texture(random: np.random.Generator, y: Field, x: Field, hue: float, strength: float) -> Field:
    """Return a texture of two tones of a hue, (S, S, 3) in [0, 1]."""
    pattern = _PATTERNS[int(random.integers(len(_PATTERNS)))](random, y, x)
    value = random.uniform(0.45, 0.95)
    other = value + (random.uniform(0.22, 0.4) * (-1 if value > 0.7 else 1))
    saturation = strength * random.uniform(0.6, 1.0)
    first = _colour(hue, saturation, value)
    second = _colour(hue + random.uniform(-0.06, 0.06), saturation, other)
    blend: Field = first + pattern[..., None] * (second - first)
    return blend


def _colour(hue: float, saturation: float, value: float) -> Field:
    """Return an RGB colour in [0, 1] of hue, saturation and value in [0, 1]; hue wraps."""
    sector = (hue * 6 + np.array([0.0, 4.0, 2.0])) % 6
    ramp = (np.abs(sector - 3) - 1).clip(0, 1)
    colour: Field = (min(value, 1.0) * (1 - saturation * (1 - ramp))).astype(np.float32)
    return colour


def _wave(random: np.random.Generator, y: Field, x: Field, angle: float) -> Field:
    """A plane wave in [−1, 1] of 7 to 13 waves per image side, soft-edged."""
    period = y.shape[0] / random.uniform(5, 10)
    phase = random.uniform(0, 2 * np.pi)
    step = 2 * np.pi / period
    run = np.float32(step * np.sin(angle)) * y + np.float32(step * np.cos(angle)) * x
    return (2 * np.sin(run + np.float32(phase))).clip(-1, 1)


def _stripes(random: np.random.Generator, y: Field, x: Field) -> Field:
    return 0.5 + 0.5 * _wave(random, y, x, random.uniform(0, np.pi))


def _checks(random: np.random.Generator, y: Field, x: Field) -> Field:
    angle = random.uniform(0, np.pi)
    waves = _wave(random, y, x, angle) * _wave(random, y, x, angle + np.pi / 2)
    checks: Field = 0.5 + 0.5 * waves
    return checks


def _gradient(random: np.random.Generator, y: Field, x: Field) -> Field:
    angle = random.uniform(0, 2 * np.pi)
    half = y.shape[0] / 2
    run = np.float32(np.sin(angle)) * (y - half) + np.float32(np.cos(angle)) * (x - half)
    ramp: Field = (0.5 + run / np.float32(2 * half)).clip(0, 1)
    return ramp


def _clouds(random: np.random.Generator, y: Field, x: Field) -> Field:
    cells = int(random.integers(4, 9))
    coarse = random.uniform(-0.2, 1.2, (cells, cells)).astype(np.float32)
    size = (y.shape[1], y.shape[0])
    return cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC).clip(0, 1)


_PATTERNS = (_stripes, _checks, _gradient, _clouds)

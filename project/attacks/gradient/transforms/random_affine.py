"""Input transform of random affine maps: zoom, aspect, rotation, flips and shifts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from project.attacks.gradient.transforms.block_shuffle import require_motion, sign, turning
from project.attacks.gradient.transforms.moved import (
    Canvas,
    Origins,
    permuted,
    resampled_whole,
)
from project.attacks.gradient.transforms.transform import InputTransform, View
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.sampling import Border, Sampling


@dataclass(frozen=True)
class RandomAffine(InputTransform):
    r"""Show the image flipped, zoomed, rotated and shifted at random.

    About the middle of the image, in pixels (x to the right, y down):
    $$(x, y) \mapsto R_\theta\,(\pm z \sqrt{a}\,x,\ \pm z\,y / \sqrt{a}) + s$$, R turning
    counter-clockwise. Labels and clean logits move with the pixels: mirrored pixels have the labels
    of what is mirrored, and what comes from nowhere is void. With flips alone each pixel is shown
    exactly once, bit for bit.

    Source: such views stand for many networks in expectation over transformation, Athalye et al.,
    "Synthesizing Robust Adversarial Examples", ICML 2018, section 2 [paper]; ranges [ours].
    """

    zoom: tuple[float, float] = (0.7, 1.5)
    """Least and greatest factor z by which the image is enlarged."""
    aspect: float = 1.0
    """Greatest factor a by which width is enlarged relative to height, and the inverse of the
    least; drawn evenly on a scale of logarithms."""
    rotation: float = 24.0
    """Largest angle θ in degrees, either way."""
    shift: float = 0.1
    """Largest shift s along each axis, relative to the image's side."""
    horizontal_flip: float = 0.5
    """Probability of a flip left to right."""
    vertical_flip: float = 0.0
    """Probability of a flip upside down."""
    edges: Border = "mirrored"
    """What lies beyond the image: ``mirrored``, the image mirrored at its edges, or ``zeros``,
    black and void."""
    sampling: Sampling = "bilinear"
    """What is shown between the middles of pixels: ``bilinear`` blends four; ``nearest`` takes the
    nearest, with its own label, and costs half as much."""
    copies: int = 1
    """Number of views at each step."""

    def __post_init__(self) -> None:
        if not (self.aspect >= 1 and self.shift >= 0 and self.copies >= 1):
            raise InputError(
                "aspect and copies must be at least 1, and shift at least 0, got "
                f"{self.aspect}, {self.copies}, {self.shift}."
            )
        require_motion(self.horizontal_flip, self.vertical_flip, self.rotation, self.zoom)

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the moved copies; seven draws for each."""
        only_flips = (self.zoom, self.aspect, self.rotation, self.shift) == ((1, 1), 1, 0, 0)
        for number in range(self.copies):
            chances = draws.keyed("copy", number).uniform(7)
            if only_flips:
                yield permuted(partial(self._place, chances))
            else:
                yield resampled_whole(partial(self._origins, chances), self.edges, self.sampling)

    def _place(self, chances: Tensor, canvas: Canvas) -> Tensor:
        leftwards, upwards = chances[:, :2].to(canvas.device, non_blocking=True).unbind(1)
        row, column = (
            torch.where(flipped[:, None], pixel.flip(0), pixel)
            for flipped, pixel in (
                (upwards < self.vertical_flip, torch.arange(canvas.height, device=canvas.device)),
                (
                    leftwards < self.horizontal_flip,
                    torch.arange(canvas.width, device=canvas.device),
                ),
            )
        )
        return row[:, :, None] * canvas.width + column[:, None]

    def _origins(self, chances: Tensor, canvas: Canvas) -> Origins:
        chances = chances.double().to(canvas.device, non_blocking=True)[..., None]
        leftwards, upwards, size, shape, turn, right, down = chances.unbind(1)
        angle = turning(self.rotation, turn)
        zoom = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * size
        wider = (math.log(self.aspect) / 2 * (2 * shape - 1)).exp()
        side = sign(leftwards < self.horizontal_flip) / (zoom * wider)
        up = sign(upwards < self.vertical_flip) / zoom * wider
        v = _from(canvas.height * (0.5 + self.shift * (2 * down - 1)), canvas.height)
        u = _from(canvas.width * (0.5 + self.shift * (2 * right - 1)), canvas.width)
        cosine, sine = angle.cos(), angle.sin()
        # Either coordinate of the inverse map is a sum of one number a row and one a column.
        rows = up * cosine * v + canvas.height / 2, up * sine * u
        columns = -side * sine * v + canvas.width / 2, side * cosine * u
        return Origins(_sums(*rows, canvas.dtype), _sums(*columns, canvas.dtype))


def _from(place: Tensor, length: int) -> Tensor:
    """Return how far the middles of the pixels along an axis are from a place on it."""
    return torch.arange(length, device=place.device) + 0.5 - place


def _sums(rows: Tensor, columns: Tensor, dtype: torch.dtype) -> Tensor:
    return rows.to(dtype)[:, :, None] + columns.to(dtype)[:, None]

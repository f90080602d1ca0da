"""Input transform DI-FGSM: diverse inputs by random resizing and padding."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from project.attacks.gradient.transforms.transform import InputTransform, View
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.separable import along_axes


@dataclass(frozen=True)
class Diversity(InputTransform):
    r"""Show each image smaller, at a random place of a black frame, with some probability.

    An image of side S is resized to a side drawn from $$[S, \lceil s S \rceil)$$, zero-padded at
    a random place to $$\lceil s S \rceil$$, and all of it resized back to S; height and width
    alike. Labels and clean logits are moved likewise, by the nearest pixel and void in the frame,
    so that losses and splits of pixels are those of the image that the victim sees.

    Source: Xie et al., "Improving Transferability of Adversarial Examples with Input Diversity",
    CVPR 2019, section 3.3 [paper]; resizing back, so that any victim takes the image, and bilinear
    resizing [port].
    """

    probability: float = 0.5
    """Probability that an image is changed at a step; 0.5 as in the paper."""
    scale: float = 1.1
    """Size s of the frame relative to the image, at least 1; the paper's 330 of 299 pixels is
    1.1."""

    def __post_init__(self) -> None:
        if not 0 <= self.probability <= 1 or not 1 <= self.scale < math.inf:
            raise InputError(
                f"probability must lie in [0, 1] and scale be at least 1, got {self.probability}, "
                f"{self.scale}."
            )

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield one view; four draws for each image: whether, how large, how far down and right."""
        chances = draws.uniform(4).double()
        yield View(partial(self._change, chances), partial(self._follow, chances))

    def _change(self, chances: Tensor, images: Tensor) -> Tensor:
        down, across = self._axes(chances, images)
        return along_axes(images, down.matrices(images.dtype), across.matrices(images.dtype))

    def _follow(self, chances: Tensor, pixels: Tensor, outside: int) -> Tensor:
        down, across = self._axes(chances, pixels)
        (rows, in_height), (columns, in_width) = down.nearest(), across.nearest()
        number = torch.arange(len(pixels), device=pixels.device)[:, None, None]
        moved = pixels.movedim((-2, -1), (1, 2))[number, rows[:, :, None], columns[:, None]]
        moved = moved.movedim((1, 2), (-2, -1))
        beyond = ~(in_height[:, :, None] & in_width[:, None])
        return moved.masked_fill(beyond if pixels.ndim == 3 else beyond[:, None], outside)

    def _axes(self, chances: Tensor, pixels: Tensor) -> "tuple[ResizedAxis, ResizedAxis]":
        """Return the change of the height and that of the width."""
        whether, size, top, left = chances.to(pixels.device, non_blocking=True).unbind(1)
        scale = torch.ones_like(whether).masked_fill(whether < self.probability, self.scale)
        height, width = pixels.shape[-2:]
        return _drawn(height, scale, size, top), _drawn(width, scale, size, left)


def _drawn(length: int, scale: Tensor, size: Tensor, place: Tensor) -> "ResizedAxis":
    """Return the change of an axis from draws in [0, 1); scale 1 leaves the image unchanged."""
    canvas = (scale * length - 1e-9).ceil()  # in floats, 1.1 · 50 is a little more than 55
    resized = length + (size * (canvas - length)).floor()
    offset = (place * (canvas - resized + 1)).floor()
    return ResizedAxis(length, canvas, resized, offset)


class ResizedAxis(NamedTuple):
    """One axis of an image that is resized linearly, padded with 0 to a canvas, and resized back.

    Pixels are squares: the middle of pixel i is at i + 1/2. Where all sizes are equal, this is the
    identity, bit for bit.

    Attributes:
        length: length of the axis in pixels, before and after.
        canvas: (N,), the padded length.
        resized: (N,), the length of the image on its canvas.
        offset: (N,), the position on the canvas where the image begins.
    """

    length: int
    canvas: Tensor
    resized: Tensor
    offset: Tensor

    def matrices(self, dtype: torch.dtype) -> Tensor:
        """Return the change as linear maps of the axis, (N, length, length)."""
        # Never off the canvas, since no canvas is smaller than its image.
        place = self._on_canvas() - 0.5
        low = place.floor()
        between = (place - low)[..., None].to(dtype)
        return torch.lerp(self._pixels(low, dtype), self._pixels(low + 1, dtype), between)

    def nearest(self) -> tuple[Tensor, Tensor]:
        """Return each pixel's source pixel, int64 (N, length), and where there is one, bool."""
        source = (self._on_canvas() - self.offset[:, None]) * self._shrink()
        inside = (source >= 0) & (source < self.length)
        return source.floor().long().clamp(0, self.length - 1), inside

    def _on_canvas(self) -> Tensor:
        """Return where the middle of each pixel lies on the canvas, (N, length)."""
        middle = torch.arange(self.length, device=self.canvas.device) + 0.5
        return middle * self.canvas[:, None] / self.length

    def _pixels(self, place: Tensor, dtype: torch.dtype) -> Tensor:
        """Return the weights of the image's pixels in the canvas pixels ``place``.

        The shapes are (N, length, length) and (N, length); canvas pixels outside of the resized
        image have weights 0.
        """
        place = place - self.offset[:, None]
        inside = (place >= 0) & (place < self.resized[:, None])
        source = ((place + 0.5) * self._shrink() - 0.5).clamp(0, self.length - 1)
        pixel = torch.arange(self.length, dtype=dtype, device=source.device)
        nearness = (1 - (source[..., None].to(dtype) - pixel).abs()).clamp_(min=0)
        return nearness * inside[..., None]

    def _shrink(self) -> Tensor:
        return self.length / self.resized[:, None]

"""Input transform BSR: blocks of the image shuffled, flipped, rotated and zoomed."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks.gradient.transforms.moved import (
    Canvas,
    Origins,
    Strips,
    at_strips,
    either,
    permuted,
    resampled,
)
from project.attacks.gradient.transforms.transform import InputTransform, View
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.sampling import Border, Sampling, inside


@dataclass(frozen=True)
class BlockShuffle(InputTransform):
    r"""Show the image cut into blocks that are shuffled, and flipped, rotated or zoomed one by one.

    The height is cut into strips of lengths $$u_k / \sum_j u_j,\ u \sim U(0, 1)$$, which are
    shuffled; then each strip along its width likewise, with cuts and an order of its own. Networks
    attend to other parts of the image once these lie elsewhere. Without rotation and zoom each
    pixel is shown exactly once. Labels and clean logits move with the pixels: mirrored pixels have
    the labels of what is mirrored, and what comes from nowhere is void.

    The paper's attack is ``BlockShuffle(horizontal_flip=0.0, rotation=24.0, edges="zeros",
    copies=20)`` with :class:`~project.attacks.Momentum`.

    Source: Wang et al., "Boosting Adversarial Transferability by Block Shuffle and Rotation", CVPR
    2024, section 3.3 [paper]; strips with cuts and an order of their own [port], where the authors'
    code cuts all strips alike [code]; angles from a uniform distribution [port], where it takes a
    normal one cut off at two standard deviations of 0.2 radians [code]; flips and zoom [ours].
    """

    rows: int = 2
    """Number of strips, 2 as in the paper."""
    columns: int = 2
    """Number of blocks in a strip, 2 as in the paper."""
    horizontal_flip: float = 0.5
    """Probability that a block is flipped left to right."""
    vertical_flip: float = 0.0
    """Probability that a block is flipped upside down."""
    rotation: float = 0.0
    """Largest angle in degrees by which a block is rotated, either way, about its middle; 24 in the
    paper."""
    zoom: tuple[float, float] = (1.0, 1.0)
    """Least and greatest factor by which a block's content is enlarged about its middle."""
    edges: Border = "mirrored"
    """What a rotated or shrunk block leaves of its place: ``mirrored``, the block mirrored at its
    edges, or ``zeros``, black and void, as in the paper."""
    sampling: Sampling = "bilinear"
    """What is shown between the middles of pixels: ``bilinear`` blends four; ``nearest`` takes the
    nearest, with its own label, and costs half as much."""
    copies: int = 1
    """Number of views at each step; 20 in the paper."""

    def __post_init__(self) -> None:
        if min(self.rows, self.columns, self.copies) < 1:
            raise InputError(
                "rows, columns and copies must be at least 1, got "
                f"{self.rows}, {self.columns}, {self.copies}."
            )
        require_motion(self.horizontal_flip, self.vertical_flip, self.rotation, self.zoom)

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the shuffled copies."""
        for number in range(self.copies):
            own = draws.keyed("copy", number)
            chances = _Chances(
                own.keyed("rows").uniform(2, self.rows),
                own.keyed("columns").uniform(self.rows, 2, self.columns),
                own.keyed("blocks").uniform(4, self.rows, self.columns),
            )
            if self.rotation == 0 and self.zoom == (1, 1):
                yield permuted(partial(self._place, chances))
            else:
                yield resampled(partial(self._origins, chances), self.sampling)

    def _place(self, chances: _Chances, canvas: Canvas) -> Tensor:
        rows, columns, blocks = chances.on(canvas.device)
        down, across = shuffled(rows, canvas.height), shuffled(columns, canvas.width)
        leftwards = (blocks[:, 0] < self.horizontal_flip).gather(-1, across.slot)
        row, column = down.sources(), torch.where(leftwards, across.mirrored(), across.sources())
        place = at_strips(column, down.slot)
        if self.vertical_flip == 0:
            return place.add_(row[:, :, None] * canvas.width)
        upwards = (blocks[:, 1] < self.vertical_flip).gather(-1, across.slot)
        row, turned = row[:, :, None], down.mirrored()[:, :, None]
        row = torch.where(at_strips(upwards, down.slot), turned, row)
        return place.add_(row.mul_(canvas.width))

    def _origins(self, chances: _Chances, canvas: Canvas) -> Origins:
        rows, columns, blocks = chances.on(canvas.device)
        down, across = shuffled(rows, canvas.height), shuffled(columns, canvas.width)
        leftwards, upwards, turn, size = blocks.gather(
            -1, across.slot[:, None].expand(-1, 4, -1, -1)
        ).unbind(1)
        angle = turning(self.rotation, turn)
        zoom = self.zoom[0] + (self.zoom[1] - self.zoom[0]) * size
        cosine, sine = angle.cos() / zoom, angle.sin() / zoom
        side, up = sign(leftwards < self.horizontal_flip), sign(upwards < self.vertical_flip)
        # A pixel v rows below and u columns right of the middle of its block in the view comes from
        # the place up · (cos v + sin u), side · (cos u - sin v) from the block's middle in the
        # image. What does not change with v is computed once a strip instead of once a pixel.
        u = across.from_middle()
        half_width = across.length / 2
        by_strip = (up * cosine, up * sine * u, -side * sine, side * cosine * u + half_width)
        a, b, c, d, left, width = (
            at_strips(each.to(canvas.dtype), down.slot)
            for each in (*by_strip, across.source, across.length)
        )
        by_row = (down.from_middle(), down.source, down.length)
        v, top, height = (each[:, :, None].to(canvas.dtype) for each in by_row)
        row, above = inside(a.mul_(v).add_(b).add_(height / 2), height, self.edges)
        column, beside = inside(c.mul_(v).add_(d), width, self.edges)
        return Origins(row.add_(top), column.add_(left), either(above, beside))


class _Chances(NamedTuple):
    """Draws in [0, 1) of one view: sizes and order of strips and of blocks, then of each block."""

    rows: Tensor
    columns: Tensor
    blocks: Tensor

    def on(self, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        rows, columns, blocks = (each.double().to(device, non_blocking=True) for each in self)
        return rows, columns, blocks


def shuffled(chances: Tensor, length: int) -> Strips:
    """Cut an axis into strips, and shuffle them.

    Args:
        chances: (…, 2, K) in [0, 1): relative sizes of the strips, and numbers to sort them by.
        length: of the axis; strips may be empty.
    """
    sizes, order = chances.unbind(-2)
    ends = (1 - sizes).cumsum(-1)  # in (0, 1], so that the sum is never 0
    ends = (ends / ends[..., -1:] * length).round().long()
    starts = F.pad(ends, (1, 0))[..., :-1]
    order = order.argsort(stable=True, dim=-1)
    source, lengths = starts.gather(-1, order), (ends - starts).gather(-1, order)
    ends = lengths.cumsum(-1)
    pixel = torch.arange(length, device=chances.device)[:, None]
    slot = (pixel >= ends[..., None, :]).sum(-1)
    return Strips(slot, *(each.gather(-1, slot) for each in (source, ends - lengths, lengths)))


def sign(flipped: Tensor) -> Tensor:
    """Return -1 where an axis is flipped and 1 where it is not."""
    return 1 - 2 * flipped.double()


def turning(degrees: float, chances: Tensor) -> Tensor:
    """Return angles in radians, uniform between -``degrees`` and ``degrees``."""
    return math.radians(degrees) * (2 * chances - 1)


def require_motion(
    horizontal_flip: float, vertical_flip: float, rotation: float, zoom: tuple[float, float]
) -> None:
    """Refuse what is no probability, angle or range of factors."""
    if not (0 <= horizontal_flip <= 1 and 0 <= vertical_flip <= 1):
        raise InputError(
            "horizontal_flip and vertical_flip must be probabilities in [0, 1], got "
            f"{horizontal_flip}, {vertical_flip}."
        )
    if not 0 <= rotation <= 180:
        raise InputError(f"rotation must be degrees in [0, 180], got {rotation}.")
    if not 0 < zoom[0] <= zoom[1]:
        raise InputError(
            f"zoom must be two factors above 0, the smaller first, got {zoom[0]}, {zoom[1]}."
        )

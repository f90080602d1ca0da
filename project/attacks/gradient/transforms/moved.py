"""Views that move pixels, made from where each of their pixels comes from."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from project.attacks.gradient.transforms.transform import View
from project.images.sampling import Border, Sampling, inside, nearest, pick, sample


class Canvas(NamedTuple):
    """What pixels are moved in.

    Attributes:
        height: H.
        width: W.
        device: of the pixels.
        dtype: for places: float32, and float64 for images in float64.
    """

    height: int
    width: int
    device: torch.device
    dtype: torch.dtype


def canvas_of(pixels: Tensor, dtype: torch.dtype = torch.float32) -> Canvas:
    """Return the canvas of pixels, (…, H, W)."""
    # Places of labels and of logits must be the same to the bit, whatever their own types.
    return Canvas(pixels.shape[-2], pixels.shape[-1], pixels.device, dtype)


class Origins(NamedTuple):
    """Where the pixels of a view come from, as :mod:`project.images.sampling` counts.

    Attributes:
        rows: (N, H, W).
        columns: (N, H, W).
        void: (N, H, W) bool, the pixels that come from nowhere; None for none.
    """

    rows: Tensor
    columns: Tensor
    void: Tensor | None = None


class Strips(NamedTuple):
    """An axis cut into strips, maybe in another order, told for each of its pixels.

    All are (…, H), int64; H is the length of the axis.

    Attributes:
        slot: which strip of the view the pixel lies in.
        source: where this strip begins in the image.
        start: where it begins in the view.
        length: of the strip.
    """

    slot: Tensor
    source: Tensor
    start: Tensor
    length: Tensor

    def sources(self) -> Tensor:
        """Return the pixel of the image that each pixel of the view shows."""
        return self.source + self.offset()

    def mirrored(self) -> Tensor:
        """Return the same with every strip mirrored."""
        return self.source + (self.length - 1 - self.offset())

    def rolled(self, amount: Tensor, dim: int) -> Tensor:
        """Return the same with every strip shifted, what leaves it entering at its other side.

        Args:
            amount: (N, H, W) in [0, 1), relative to the strip's length.
            dim: where in it this axis, (N, H) or (N, W), lacks one.
        """
        offset, length, source = (
            each.unsqueeze(dim) for each in (self.offset(), self.length, self.source)
        )
        distance = (amount.double() * length).floor().long()
        return source + (offset - distance) % length

    def from_middle(self) -> Tensor:
        """Return how far each pixel is from the middle of its strip."""
        return self.offset() - (self.length - 1) / 2

    def offset(self) -> Tensor:
        """Return how far each pixel is from the first of its strip."""
        return torch.arange(self.slot.shape[-1], device=self.slot.device) - self.start


def permuted(place: Callable[[Canvas], Tensor]) -> View:
    """Return the view whose pixels are those at a place, (N, H, W) int64, bit for bit."""

    def move(pixels: Tensor, outside: int = 0) -> Tensor:
        return pick(pixels, place(canvas_of(pixels)))

    return View(move, move)


def resampled(origins: Callable[[Canvas], Origins], sampling: Sampling) -> View:
    """Return the view sampled at origins inside the image.

    Where they are void it is black; else labels are those of the nearest pixel.
    """

    def change(images: Tensor) -> Tensor:
        canvas = canvas_of(images, _precise(images))
        rows, columns, void = origins(canvas)
        if void is None:
            return sample(images, rows, columns, "border")
        # Beyond images of any size, where grid_sample reads zeros alone.
        return sample(images, rows.masked_fill_(void, -2 * canvas.height), columns, "zeros")

    return _with_labels(change, origins, sampling)


def resampled_whole(
    origins: Callable[[Canvas], Origins], border: Border, sampling: Sampling
) -> View:
    """Return the view sampled at origins that may lie beyond the image's edges.

    Bilinear sampling finds what is beyond them by itself, in less time. With zeros the outermost
    pixels then blend into black, and void begins at the image's edge.
    """

    def change(images: Tensor) -> Tensor:
        rows, columns, _ = origins(canvas_of(images, _precise(images)))
        return sample(images, rows, columns, "reflection" if border == "mirrored" else "zeros")

    def settled(canvas: Canvas) -> Origins:
        rows, columns, _ = origins(canvas)
        sides = (torch.full_like(rows[0, 0, 0], side) for side in (canvas.height, canvas.width))
        (rows, above), (columns, beside) = (
            inside(place, side, border) for place, side in zip((rows, columns), sides, strict=True)
        )
        return Origins(rows, columns, either(above, beside))

    return _with_labels(change, settled, sampling)


def _with_labels(
    blended: Callable[[Tensor], Tensor], origins: Callable[[Canvas], Origins], sampling: Sampling
) -> View:
    def follow(pixels: Tensor, outside: int = 0) -> Tensor:
        rows, columns, void = origins(canvas_of(pixels))
        moved = pick(pixels, nearest(rows, columns, pixels.shape[-1]))
        if void is None:
            return moved
        return moved.masked_fill(void if pixels.ndim == 3 else void[:, None], outside)

    return View(blended if sampling == "bilinear" else follow, follow)


def at_strips(values: Tensor, slot: Tensor) -> Tensor:
    """Return for each row of the view, ``slot`` (N, H), its strip's values, of (N, R, W)."""
    first = torch.arange(len(slot), device=slot.device)[:, None] * values.shape[1]
    rows = values.flatten(0, 1).index_select(0, (first + slot).flatten())
    return rows.view(*slot.shape, values.shape[-1])


def either(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Return what is void in either axis."""
    return first if second is None else second if first is None else first | second


def _precise(images: Tensor) -> torch.dtype:
    return torch.float64 if images.dtype == torch.float64 else torch.float32

"""One axis of images that are resized, padded and resized back, each in its own way."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class ResizedAxis(NamedTuple):
    """Resize by linear interpolation, pad with 0 to a canvas, and resize the canvas back.

    Pixels are squares: the middle of pixel i is at i + 1/2. Where all sizes are equal, this is the
    identity, bit for bit.

    Attributes:
        length: of the axis, in pixels, before and after.
        canvas: (N,), the size padded to.
        resized: (N,), the size of the image on its canvas.
        offset: (N,), where it begins there.
    """

    length: int
    canvas: Tensor
    resized: Tensor
    offset: Tensor

    def matrices(self, dtype: torch.dtype) -> Tensor:
        """Return the change as linear maps of the axis, (N, length, length)."""
        place = self._on_canvas() - 0.5  # on it, since no canvas is smaller than its image
        low = place.floor()
        between = (place - low)[..., None].to(dtype)
        return torch.lerp(self._pixels(low, dtype), self._pixels(low + 1, dtype), between)

    def nearest(self) -> tuple[Tensor, Tensor]:
        """Return which pixel each comes from, int64 (N, length), and where there is one, bool."""
        source = (self._on_canvas() - self.offset[:, None]) * self._shrink()
        inside = (source >= 0) & (source < self.length)
        return source.floor().long().clamp(0, self.length - 1), inside

    def _on_canvas(self) -> Tensor:
        """Return where the middle of each pixel lies on the canvas, (N, length)."""
        middle = torch.arange(self.length, device=self.canvas.device) + 0.5
        return middle * self.canvas[:, None] / self.length

    def _pixels(self, place: Tensor, dtype: torch.dtype) -> Tensor:
        """Return what pixels of the canvas, (N, length), are made of: (N, length, length)."""
        place = place - self.offset[:, None]
        inside = (place >= 0) & (place < self.resized[:, None])
        source = ((place + 0.5) * self._shrink() - 0.5).clamp(0, self.length - 1)
        pixel = torch.arange(self.length, dtype=dtype, device=source.device)
        nearness = (1 - (source[..., None].to(dtype) - pixel).abs()).clamp_(min=0)
        return nearness * inside[..., None]

    def _shrink(self) -> Tensor:
        return self.length / self.resized[:, None]

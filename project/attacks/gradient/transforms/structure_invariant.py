"""Input transform SIA: another change of every block of the image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks.gradient.transforms.moved import Canvas, Strips, at_strips, canvas_of, permuted
from project.attacks.gradient.transforms.transform import InputTransform, View
from project.core.errors import InputError
from project.core.randomness import Draws
from project.images.sampling import pick
from project.images.separable import along_axes

BlockChange = Literal[
    "vertical_shift",
    "horizontal_shift",
    "vertical_flip",
    "horizontal_flip",
    "half_turn",
    "brightness",
    "noise",
    "resize",
    "low_pass",
    "dropout",
]
MOVES: tuple[BlockChange, ...] = (
    "vertical_shift",
    "horizontal_shift",
    "vertical_flip",
    "horizontal_flip",
    "half_turn",
)
"""The changes that move pixels within their block, each exactly once."""


@dataclass(frozen=True)
class StructureInvariant(InputTransform):
    r"""Show the image cut into blocks by a random grid, each block with a change drawn for it.

    The changes: a shift by a random distance, in which what leaves the block enters at its other
    side; a flip; half a turn; all values times $$U(0, 1)$$; noise; four fifths of the size and
    back; without the highest two fifths of frequencies of the block's cosine transform, either way;
    channels dropped with probability 0.1, the others divided by 0.9. Labels and clean logits move
    with the pixels.

    Source: Wang et al., "Structure Invariant Transformation for better Adversarial
    Transferability", ICCV 2023, section 3.3 [paper]; sizes of the changes [code]; two lines of the
    grid may coincide [ours].
    """

    blocks: int = 3
    """Number of blocks along each axis, 3 as in the paper."""
    changes: tuple[BlockChange, ...] = (
        *MOVES,
        "brightness",
        "noise",
        "resize",
        "low_pass",
        "dropout",
    )
    """What may happen to a block, all equally likely; the paper's ten. With the first five alone
    each pixel is shown exactly once, bit for bit."""
    noise: float = 16 / 255
    """Greatest size of the noise, in units of the [0, 1] range; the paper's is its budget,
    16/255."""
    copies: int = 20
    """Number of views at each step, 20 as in the paper."""

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.copies < 1 or not self.changes or self.noise < 0:
            raise InputError(
                "blocks and copies must be at least 1, changes at least one and noise at least 0, "
                f"got {self.blocks}, {self.copies}, {len(self.changes)} and {self.noise}."
            )

    @property
    def view_count(self) -> int:
        """Number of views of a step."""
        return self.copies

    def views(self, draws: Draws) -> Iterator[View]:
        """Yield the changed copies."""
        for number in range(self.copies):
            own = draws.keyed("copy", number)
            view = permuted(partial(self._place, own))
            if set(self.changes) <= set(MOVES):
                yield view
            else:
                yield View(partial(self._change, own), view.follow)

    def _grid(self, draws: Draws, canvas: Canvas) -> _Grid:
        """Return the blocks of a view, and what happens in each."""
        cuts = draws.keyed("cuts").uniform(2, self.blocks - 1).double()
        chosen, amount = draws.keyed("blocks").uniform(2, self.blocks, self.blocks).unbind(1)
        cuts, chosen, amount = (
            each.to(canvas.device, non_blocking=True) for each in (cuts, chosen, amount)
        )
        down, across = _cut(cuts[:, 0], canvas.height), _cut(cuts[:, 1], canvas.width)
        return _Grid(down, across, (chosen * len(self.changes)).long(), amount)

    def _place(self, draws: Draws, canvas: Canvas) -> Tensor:
        grid = self._grid(draws, canvas)
        down, across, amount = grid.down, grid.across, grid.spread(grid.amount)
        turned = self._where(grid, "half_turn")
        row, column = (
            torch.where(
                self._where(grid, shift),
                axis.rolled(amount, dim),
                torch.where(
                    self._where(grid, flip) | turned,
                    axis.mirrored().unsqueeze(dim),
                    axis.sources().unsqueeze(dim),
                ),
            )
            for axis, dim, shift, flip in (
                (down, 2, "vertical_shift", "vertical_flip"),
                (across, 1, "horizontal_shift", "horizontal_flip"),
            )
        )
        return row.mul_(canvas.width).add_(column)

    def _change(self, draws: Draws, images: Tensor) -> Tensor:
        canvas = canvas_of(images)
        grid = self._grid(draws, canvas)
        shown = pick(images, self._place(draws, canvas))
        if "brightness" in self.changes:
            factor = grid.spread(grid.amount).to(images.dtype)[:, None]
            shown = torch.where(self._where(grid, "brightness")[:, None], factor * shown, shown)
        if "dropout" in self.changes:
            chances = draws.keyed("channels").uniform(images.shape[1], self.blocks, self.blocks)
            kept = chances.to(canvas.device, non_blocking=True).ge(0.1).to(images.dtype) / 0.9
            factor = torch.stack([grid.spread(each) for each in kept.unbind(1)], 1)
            shown = torch.where(self._where(grid, "dropout")[:, None], factor * shown, shown)
        if "noise" in self.changes:
            noise = draws.keyed("noise").uniform(*images.shape[1:]).to(images, non_blocking=True)
            noisy = (shown + self.noise * (2 * noise - 1)).clamp(0, 1)
            shown = torch.where(self._where(grid, "noise")[:, None], noisy, shown)
        for change, along in (("resize", _resizing), ("low_pass", _low_pass)):
            if change in self.changes:
                axes = (along(axis).to(images.dtype) for axis in (grid.down, grid.across))
                shown = torch.where(
                    self._where(grid, change)[:, None], along_axes(shown, *axes), shown
                )
        return shown

    def _where(self, grid: _Grid, change: str) -> Tensor:
        """Return in which pixels a change happens, (N, H, W) bool."""
        named = [number for number, name in enumerate(self.changes) if name == change]
        found = torch.zeros_like(grid.chosen, dtype=torch.bool)
        for number in named:
            found |= grid.chosen == number
        return grid.spread(found)


class _Grid(NamedTuple):
    """Blocks, and for each, (N, blocks, blocks), which change it has and a number in [0, 1)."""

    down: Strips
    across: Strips
    chosen: Tensor
    amount: Tensor

    def spread(self, values: Tensor) -> Tensor:
        """Return the value of each pixel's block, (N, H, W)."""
        slot = self.across.slot[:, None].expand(-1, values.shape[1], -1)
        return at_strips(values.gather(-1, slot), self.down.slot)


def _cut(chances: Tensor, length: int) -> Strips:
    """Cut an axis at places, from draws (N, blocks - 1) in [0, 1)."""
    ends = (1 + (chances * (length - 1)).floor().long()).sort().values
    ends = F.pad(ends, (0, 1), value=length)
    starts = F.pad(ends, (1, 0))[:, :-1]
    slot = (torch.arange(length, device=chances.device)[:, None] >= ends[:, None]).sum(-1)
    start, lengths = starts.gather(-1, slot), (ends - starts).gather(-1, slot)
    return Strips(slot, start, start, lengths)


def _resizing(strips: Strips) -> Tensor:
    """Return the linear map that resizes each strip to four fifths and back, (N, H, H)."""
    length, start, offset = strips.length.double(), strips.start, strips.offset().double()
    small = (0.8 * length).floor() + 1
    place = ((offset + 0.5) * small / length - 0.5).clamp_(min=0).minimum(small - 1)
    low = place.floor()
    pixel = torch.arange(length.shape[1], device=length.device)

    def shrunk(number: Tensor) -> Tensor:
        source = ((number + 0.5) * length / small - 0.5).clamp_(min=0).minimum(length - 1) + start
        return (1 - (source[..., None] - pixel).abs()).clamp_(min=0)

    return torch.lerp(shrunk(low), shrunk((low + 1).minimum(small - 1)), (place - low)[..., None])


def _low_pass(strips: Strips) -> Tensor:
    """Return the linear map that takes the highest two fifths of frequencies out of each strip."""
    length = strips.length.double()[..., None]
    frequency = torch.arange(length.shape[1], device=length.device)
    phase = torch.pi * (strips.offset()[..., None] + 0.5).double() * frequency / length
    waves = phase.cos() * ((2 - (frequency == 0).double()) / length).sqrt()
    waves = waves * (frequency < length - (0.4 * length).floor())
    # Images one by one: batched products round differently in batches of other sizes.
    same = strips.slot[:, :, None] == strips.slot[:, None]
    return torch.stack([wave @ wave.mT for wave in waves]) * same

"""SIA, each of its changes by itself against the formula, and all together block by block."""

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor

from project.attacks import StructureInvariant
from project.attacks.gradient.transforms.structure_invariant import MOVES
from project.core.randomness import Draws

HEIGHT, WIDTH, COUNT = 20, 31, 6
ALL = StructureInvariant().changes


def draws() -> Draws:
    return Draws(torch.arange(COUNT), "test")


def images() -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.rand(COUNT, 3, HEIGHT, WIDTH, generator=generator, dtype=torch.float64)


def lines(chances: list[float], length: int) -> list[int]:
    """Return where blocks begin and end along an axis."""
    return [0, *sorted(1 + int(chance * (length - 1)) for chance in chances), length]


def changed(block: Tensor, change: str, amount: float, noise: Tensor, kept: Tensor) -> Tensor:
    """Return a block (3, h, w) after a change, in whole-block operations."""
    height, width = block.shape[1:]
    match change:
        case "vertical_shift":
            return block.roll(int(amount * height), 1)
        case "horizontal_shift":
            return block.roll(int(amount * width), 2)
        case "vertical_flip":
            return block.flip(1)
        case "horizontal_flip":
            return block.flip(2)
        case "half_turn":
            return block.rot90(2, (1, 2))
        case "brightness":
            return amount * block
        case "noise":
            return (block + 0.1 * (2 * noise - 1)).clamp(0, 1)
        case "dropout":
            return block * kept[:, None, None] / 0.9
        case "resize":
            small = (int(height * 0.8) + 1, int(width * 0.8) + 1)
            shrunk = F.interpolate(block[None], small, mode="bilinear")
            return F.interpolate(shrunk, (height, width), mode="bilinear")[0]
    waves = scipy.fft.dctn(block.numpy(), axes=(1, 2), norm="ortho")
    waves[:, height - int(0.4 * height) :] = 0
    waves[:, :, width - int(0.4 * width) :] = 0
    return torch.from_numpy(scipy.fft.idctn(waves, axes=(1, 2), norm="ortho"))


@pytest.mark.parametrize("changes", [*((change,) for change in ALL), ALL, MOVES], ids="_".join)
def test_every_block_is_changed_by_its_formula(changes: tuple):
    transform = StructureInvariant(3, changes, 0.1, copies=2)
    ids = torch.arange(HEIGHT * WIDTH).view(1, 1, HEIGHT, WIDTH)
    seen = set()
    for number, view in enumerate(transform.views(draws())):
        own = draws().keyed("copy", number)
        cuts = own.keyed("cuts").uniform(2, 2).tolist()
        chosen, amounts = own.keyed("blocks").uniform(2, 3, 3).unbind(1)
        noises = own.keyed("noise").uniform(3, HEIGHT, WIDTH).double()
        kept = own.keyed("channels").uniform(3, 3, 3) >= 0.1
        shown, labels = view.change(images()), view.follow(ids[:, 0].repeat(COUNT, 1, 1), 255)
        for n in range(COUNT):
            down, across = lines(cuts[n][0], HEIGHT), lines(cuts[n][1], WIDTH)
            expected, moved = images()[n].clone(), ids[0].clone()
            for i in range(3):
                for j in range(3):
                    place = np.s_[:, down[i] : down[i + 1], across[j] : across[j + 1]]
                    if not expected[place].numel():
                        continue
                    change = changes[int(chosen[n, i, j] * len(changes))]
                    parts = (change, float(amounts[n, i, j]), noises[n][place], kept[n, :, i, j])
                    expected[place] = changed(expected[place], *parts)
                    if change in MOVES:
                        moved[place] = changed(moved[place], *parts)
                    seen.add(change)
            torch.testing.assert_close(shown[n], expected, atol=1e-9, rtol=0)
            assert torch.equal(labels[n], moved[0])
    assert seen == set(changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: StructureInvariant(0), "blocks and copies must be at least 1"),
        (lambda: StructureInvariant(changes=()), "changes at least one"),
        (lambda: StructureInvariant(noise=-1.0), "noise at least 0"),
        (lambda: StructureInvariant(changes=("flip",)), "must be a list"),
    ],
)
def test_what_changes_no_block_is_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()

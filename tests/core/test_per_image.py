"""Containers of per-image tensors are indexed, chosen from and written as a whole."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from project.core.per_image import PerImage, chosen, per_image, put_rows, rows_of
from project.core.randomness import Draws
from project.threat_models import Linf, Masked


class Pair(NamedTuple):
    first: Tensor
    second: Tensor | None


class Batch(PerImage):
    def __init__(self, count: int) -> None:
        self.images = torch.arange(count * 2.0).view(count, 2)
        self.memory = {"sum": torch.arange(count), "pair": Pair(torch.arange(count) * 10, None)}
        self.parts = [torch.arange(count) + 100, (torch.arange(count) + 200,)]
        self.draws = Draws(torch.arange(count) + 7, 0, "attack")
        self.space = Masked(
            Linf(0.1), torch.ones(count, 1, 1, 1) * torch.arange(count)[:, None, None, None]
        )
        self.victim = nn.Linear(count, count)
        self.steps = 5
        self.nothing = None


@dataclass(frozen=True)
class Frozen(PerImage):
    values: Tensor
    name: str = "same"


@pytest.mark.parametrize("rows", [torch.tensor([3, 1]), torch.tensor([False, True, False, True])])
def test_every_tensor_is_cut_to_the_rows_and_nothing_else_changes(rows: Tensor):
    whole = Batch(4)
    part = whole.at(rows)
    places = rows if rows.dtype == torch.int64 else rows.nonzero()[:, 0]
    assert torch.equal(part.images, whole.images[places])
    assert torch.equal(part.memory["sum"], places)
    assert torch.equal(part.memory["pair"].first, places * 10)
    assert part.memory["pair"].second is None
    assert torch.equal(part.parts[0], places + 100)
    assert torch.equal(part.parts[1][0], places + 200)
    assert torch.equal(part.draws.index, places + 7)
    assert part.draws.key == (0, "attack")
    assert torch.equal(part.space.mask.flatten(), places.float())
    assert part.space.inner == Linf(0.1)
    assert part.victim is whole.victim
    assert (part.steps, part.nothing) == (5, None)
    assert len(whole.images) == len(whole.draws.index) == 4


def test_shrinking_is_the_same_in_place():
    batch, staying = Batch(4), torch.tensor([True, False, False, True])
    images = batch.images[staying]
    batch.shrink_to(staying)
    assert torch.equal(batch.images, images)
    assert batch.draws.index.tolist() == [7, 10]


def test_frozen_containers_have_parts_too():
    whole = Frozen(torch.arange(3))
    assert whole.at(torch.tensor([2])).values.tolist() == [2]
    assert whole.values.tolist() == [0, 1, 2]
    assert whole.at(torch.tensor([2])).name == "same"


def test_the_better_rows_of_containers_are_chosen():
    old = {"a": torch.zeros(3, 2), "pair": Pair(torch.zeros(3), None), "mine": torch.zeros(3)}
    new = {"a": torch.ones(3, 2), "pair": Pair(torch.ones(3), None)}
    kept = chosen(torch.tensor([True, False, True]), new, old)
    assert kept["a"].tolist() == [[1, 1], [0, 0], [1, 1]]
    assert kept["pair"].first.tolist() == [1, 0, 1]
    assert kept.keys() == {"a", "pair"}  # what one side alone knows is left out


def test_rows_are_written_in_place_in_the_type_that_was_there():
    values = (torch.zeros(3, dtype=torch.float32), {"b": torch.zeros(3, 2, dtype=torch.int64)})
    new = (torch.tensor([1.5], dtype=torch.float64), {"b": torch.tensor([[4.0, 5.0]])})
    written = put_rows(values, torch.tensor([1]), new)
    assert written[0] is values[0]
    assert values[0].tolist() == [0, 1.5, 0]
    assert values[1]["b"].tolist() == [[0, 0], [4, 5], [0, 0]]


def test_what_holds_no_tensors_is_given_back():
    assert rows_of("text", torch.tensor([0])) == "text"
    assert per_image(torch.tensor([2.0, 3.0]), torch.ones(2, 3, 4, 5)).shape == (2, 1, 1, 1)

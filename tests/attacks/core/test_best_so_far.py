"""The best of every image so far, against a slow loop over images and offers."""

import math

import pytest
import torch
from torch import Tensor

from project.attacks.core.best_so_far import REACHED, BestSoFar, smallest


def offers(count: int, seed: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Return values, ranks and costs of several offers, with many ties."""
    draw = torch.Generator().manual_seed(seed)
    return [
        (
            torch.full((count, 2), float(number)),
            torch.randint(0, 3, (count,), generator=draw).float(),
            torch.randint(0, 3, (count,), generator=draw).float(),
        )
        for number in range(6)
    ]


def slow(image: int, given: list[tuple[Tensor, Tensor, Tensor]]) -> float:
    """Return which offer an image keeps, told value by value."""
    best, kept = (-math.inf, math.inf), -1.0
    for values, rank, cost in given:
        now = rank[image].item(), cost[image].item()
        if now[0] > best[0] or (now[0] == best[0] and now[1] < best[1]):
            best, kept = now, values[image, 0].item()
    return kept


@pytest.mark.parametrize("wait", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_greatest_rank_wins_then_least_cost_then_the_first(seed: int, wait: bool):
    given = offers(9, seed)
    best = BestSoFar(torch.full((9, 2), -1.0), torch.zeros(9))
    for values, rank, cost in given:
        better = best.offer(values, rank, cost, wait=wait)
        assert torch.equal(better, best.found[:, 0] == values[:, 0])
    assert best.found[:, 0].tolist() == [slow(image, given) for image in range(9)]


@pytest.mark.parametrize("wait", [False, True])
def test_some_images_are_offered_by_their_places(wait: bool):
    given = offers(9, seed=7)
    subsets = [torch.arange(9)[torch.arange(9) % (number + 1) == 0] for number in range(6)]
    best = BestSoFar({"values": torch.full((9, 2), -1.0)}, torch.zeros(9))
    seen: list[list] = [[] for _ in range(9)]
    for rows, (values, rank, cost) in zip(subsets, given, strict=True):
        best.offer({"values": values[rows]}, rank[rows], cost[rows], rows, wait=wait)
        for row in rows.tolist():
            seen[row].append((values, rank, cost))
    wanted = [slow(image, seen[image]) for image in range(9)]
    assert best.found["values"][:, 0].tolist() == wanted


def test_without_costs_the_first_of_equals_stays():
    best = BestSoFar(torch.zeros(2), torch.zeros(2))
    best.offer(torch.tensor([1.0, 1.0]), torch.tensor([0.5, 0.5]))
    best.offer(torch.tensor([2.0, 2.0]), torch.tensor([0.5, 0.6]))
    assert best.found.tolist() == [1, 2]


def test_no_number_is_never_better():
    best = BestSoFar(torch.zeros(2), torch.zeros(2))
    best.offer(torch.ones(2), torch.tensor([math.nan, 0.1]))
    best.offer(torch.full((2,), 2.0), torch.tensor([0.0, 0.1]), torch.tensor([math.nan, math.nan]))
    assert best.found.tolist() == [2, 1]


def test_smallest_is_kept_once_the_share_is_reached_else_what_fools_most():
    best = BestSoFar((torch.zeros(3), torch.zeros(3, dtype=torch.int64)), torch.zeros(3))
    sizes = [[1.0, 5.0, 2.0], [2.0, 4.0, 1.0], [3.0, 6.0, 9.0]]
    shares = [[0.1, 0.9, 0.2], [0.5, 0.95, 1.0], [0.4, 1.0, 1.0]]
    for step, (size, share) in enumerate(zip(sizes, shares, strict=True)):
        found = torch.full((3,), step + 0.5), torch.full((3,), step)
        best.offer(found, *smallest(torch.tensor(share), 0.9, torch.tensor(size)))
    noise, steps = best.found
    assert steps.tolist() == [1, 1, 1]
    assert noise.tolist() == [1.5, 1.5, 1.5]
    assert best.reached.tolist() == [False, True, True]
    assert best.rank.tolist() == [0.5, REACHED, REACHED]
    assert best.cost.tolist() == [0, 4, 1]


def test_ranks_are_told_apart_in_full_precision_whatever_the_victims():
    best = BestSoFar(torch.zeros(1), torch.zeros(1, dtype=torch.bfloat16))
    best.offer(torch.ones(1), torch.tensor([0.1162]), torch.tensor([0.0]))
    best.offer(torch.full((1,), 2.0), torch.tensor([0.1163]), torch.tensor([5.0]))
    assert best.found.tolist() == [2]


def test_a_size_that_is_no_number_reaches_nothing():
    rank, cost = smallest(torch.ones(2), 1.0, torch.tensor([math.nan, 0.5]))
    assert rank.tolist() == [1, REACHED]
    assert cost.tolist() == [0, 0.5]

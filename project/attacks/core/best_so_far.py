"""The best of every image so far, whatever a search calls better."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor

from project.core.per_image import chosen, put_rows, rows_of

Found = TypeVar("Found")

REACHED = float("inf")
"""The rank of what does all that is asked for: among such, cost decides alone."""


class BestSoFar(Generic[Found]):
    """Of each image what was found with the greatest rank and, among equals, the least cost.

    Every image decides for itself, and of full equals the first stays.

    Args:
        found: what there is before the search, of a rank below any: tensors (N, …) in a container
            as of :mod:`project.core.per_image`.
        like: (N,), a tensor of the type and on the device of ranks and costs.

    Attributes:
        found: the best so far, in the same container.
        rank: (N,); -∞ where nothing was offered yet.
        cost: (N,).
    """

    def __init__(self, found: Found, like: Tensor) -> None:
        self.found = found
        self.rank = torch.full_like(like, -torch.inf)
        self.cost = torch.full_like(like, torch.inf)

    @property
    def reached(self) -> Tensor:
        """Where the rank is :data:`REACHED`, (N,) bool."""
        return self.rank == REACHED

    def offer(
        self,
        found: Found,
        rank: Tensor,
        cost: Tensor | None = None,
        rows: Tensor | None = None,
        wait: bool = False,
    ) -> Tensor:
        """Keep what is better.

        Args:
            found: of n images; nobody may change its tensors afterwards.
            rank: (n,).
            cost: (n,); None: equals of rank are equal.
            rows: (n,) int64, their places in the batch, rising; None: all images.
            wait: whether the host may wait for the device, to spare copies where all are better.

        Returns:
            Which are better, (n,) bool.
        """
        rank = rank.to(self.rank)
        cost = torch.zeros_like(rank) if cost is None else cost.to(self.cost)
        everyone = rows is None or len(rows) == len(self.rank)
        before = (self.found, self.rank, self.cost)
        known = before if rows is None or everyone else rows_of(before, rows)
        better = (rank > known[1]) | ((rank == known[1]) & (cost < known[2]))
        if everyone and wait and bool(better.all()):
            self.found, self.rank, self.cost = found, rank, cost
            return better
        kept = chosen(better, (found, rank, cost), known)
        if rows is not None and not everyone:
            kept = put_rows(before, rows, kept)
        self.found, self.rank, self.cost = kept
        return better


def smallest(fooled: Tensor, share: float, size: Tensor) -> tuple[Tensor, Tensor]:
    """Return rank and cost where the smallest perturbation is wanted that fools a share.

    Where the share is not reached, what fools most ranks first.

    Args:
        fooled: (N,), the share of valid elements that is fooled.
        share: to be reached, in (0, 1].
        size: (N,), of the perturbation.
    """
    reached = fooled >= share
    return fooled.masked_fill(reached, REACHED), size.masked_fill(~reached, 0)

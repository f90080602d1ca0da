"""The best result so far for each image of a batch, by rank and cost."""

from __future__ import annotations

from typing import Generic, TypeVar

import torch
from torch import Tensor

from project.core.per_image import chosen, put_rows, rows_of

Found = TypeVar("Found")

REACHED = float("inf")
"""Rank of a result that meets the whole aim; among such results the cost alone decides."""


class BestSoFar(Generic[Found]):
    """For each image the result of the greatest rank and, among equal ranks, the least cost.

    Images are compared independently; among results of equal rank and cost the first is kept.

    Args:
        found: the result before the search, which any offer replaces: tensors (N, …) in a container
            as of :mod:`project.core.per_image`.
        like: (N,), a tensor whose dtype and device ranks and costs shall have.

    Attributes:
        found: the best so far, in the same container.
        rank: (N,), of the best result; -∞ where nothing was offered yet.
        cost: (N,), of the best result.
    """

    def __init__(self, found: Found, like: Tensor) -> None:
        self.found = found
        # Shares of pixels need float32 also where half precision made the objective.
        wide = torch.promote_types(like.dtype, torch.float32)
        self.rank = torch.full_like(like, -torch.inf, dtype=wide)
        self.cost = torch.full_like(like, torch.inf, dtype=wide)

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
        """Keep new results where they are better than the best so far.

        Args:
            found: the new results of n images; its tensors must not be changed afterwards.
            rank: (n,), the greater the better; NaN is never kept.
            cost: (n,), decides among equal ranks, the less the better, NaN as ∞; None: rank alone
                decides.
            rows: (n,) int64, the images' indices in the batch, rising; None: all images.
            wait: whether the host may wait for the device, to spare copies where all are better.

        Returns:
            Where the new results are better, (n,) bool.
        """
        rank = rank.to(self.rank)
        cost = torch.zeros_like(rank) if cost is None else cost.to(self.cost)
        # NaN would be kept for good, since no cost is less than NaN.
        cost = cost.masked_fill(cost.isnan(), torch.inf)
        everyone = rows is None or len(rows) == len(self.rank)
        before = (self.found, self.rank, self.cost)
        known = before if rows is None or everyone else rows_of(before, rows)
        better = (rank > known[1]) | ((rank == known[1]) & (cost < known[2]))
        if everyone and wait and bool(better.all()):
            # The offered tensors themselves are kept, which is why nobody may change them.
            self.found, self.rank, self.cost = found, rank, cost
            return better
        kept = chosen(better, (found, rank, cost), known)
        if rows is not None and not everyone:
            kept = put_rows(before, rows, kept)
        self.found, self.rank, self.cost = kept
        return better


def smallest(fooled: Tensor, share: float, size: Tensor) -> tuple[Tensor, Tensor]:
    """Return rank and cost that prefer the smallest perturbation among those that fool enough.

    Where the share is not reached, perturbations that fool more rank higher, whatever their size.

    Args:
        fooled: (N,), the share of valid elements that is fooled.
        share: the share to be reached, in (0, 1].
        size: (N,), the perturbation's size.

    Returns:
        Rank and cost for :meth:`BestSoFar.offer`, (N,) each.
    """
    reached = (fooled >= share) & (size < torch.inf)  # NaN is no size
    return fooled.masked_fill(reached, REACHED), size.masked_fill(~reached, 0)

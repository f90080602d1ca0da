"""Choosing some of many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

One = TypeVar("One")


def spread(many: Sequence[One], most: int) -> list[One]:
    """Return at most so many of a sequence, evenly spaced, the first among them."""
    count = min(most, len(many))
    return [many[place * len(many) // count] for place in range(count)]


def shards(many: Sequence[One], size: int, most: int) -> list[Sequence[One]]:
    """Cut a sequence into at most ``most`` parts of nearly equal length.

    Args:
        many: what to cut.
        size: of a part; larger ones only where there would be too many.
        most: how many parts at most.
    """
    count = min(most, -(-len(many) // size))
    edges = [place * len(many) // count for place in range(count + 1)] if count else []
    return [many[first:last] for first, last in pairwise(edges)]

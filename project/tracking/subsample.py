"""Evenly spaced subsamples, and nearly equal parts, of a sequence."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TypeVar

One = TypeVar("One")


def spread(many: Sequence[One], most: int) -> list[One]:
    """Return at most so many items of a sequence, evenly spaced, beginning with the first."""
    count = min(most, len(many))
    return [many[place * len(many) // count] for place in range(count)]


def shards(many: Sequence[One], size: int, most: int) -> list[Sequence[One]]:
    """Cut a sequence into at most ``most`` parts of nearly equal length.

    Args:
        many: the sequence.
        size: items of a part; more only where there would be too many parts.
        most: the most parts.
    """
    count = min(most, -(-len(many) // size))
    edges = [place * len(many) // count for place in range(count + 1)] if count else []
    return [many[first:last] for first, last in pairwise(edges)]

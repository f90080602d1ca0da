"""Gather Python objects from all ranks."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

Found = TypeVar("Found")


def gather(found: list[Found]) -> list[Found]:
    """Concatenate the lists of all ranks on rank 0; any other rank gets its own back.

    A collective: every rank must call it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return found
    everyone: list[list[Found]] | None = None
    if dist.get_rank() == 0:
        everyone = [[] for _ in range(dist.get_world_size())]
    dist.gather_object(found, everyone)
    return [one for part in everyone for one in part] if everyone else found


def all_gather(found: Found) -> list[Found]:
    """Return the objects of all ranks, in the order of the ranks, on every rank.

    A collective: every rank must call it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return [found]
    everyone = [found] * dist.get_world_size()
    dist.all_gather_object(everyone, found)
    return everyone


def broadcast(found: Found, source: int) -> Found:
    """Return the object of one rank on every rank; what the others give does not matter.

    A collective: every rank must call it.
    """
    if not (dist.is_available() and dist.is_initialized()):
        return found
    told = [found]
    dist.broadcast_object_list(told, src=source)
    return told[0]

"""What every process has a part of."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

Found = TypeVar("Found")


def gathered(found: list[Found]) -> list[Found]:
    """Return what all processes have found, on the first one."""
    if not (dist.is_available() and dist.is_initialized()):
        return found
    everyone: list[list[Found]] | None = None
    if dist.get_rank() == 0:
        everyone = [[] for _ in range(dist.get_world_size())]
    dist.gather_object(found, everyone)
    return [one for part in everyone for one in part] if everyone else found


def from_all(found: Found) -> list[Found]:
    """Return what each process has found, on every process."""
    if not (dist.is_available() and dist.is_initialized()):
        return [found]
    everyone = [found] * dist.get_world_size()
    dist.all_gather_object(everyone, found)
    return everyone

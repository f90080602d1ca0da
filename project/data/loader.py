"""Collating samples to batches, and a loader with one clear error for any lost worker."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, default_collate

from project.core.errors import InputError
from project.data.sample_set import SampleSet

_SHOWN = 5  # sizes that a message names

Batch = dict[str, Tensor]
"""{image, target, index}: samples of a :class:`~project.data.SampleSet`, stacked."""


def collate(samples: list[Batch]) -> Batch:
    """Stack samples to a batch.

    Raises:
        ValueError: if their sizes differ.
    """
    require_one_size((*sample["image"].shape[1:],) for sample in samples)
    batch: Batch = default_collate(samples)
    return batch


def require_one_size(sizes: Iterable[tuple[int, ...]]) -> None:
    """Check that the images of a batch, (H, W) each, can be stacked.

    Raises:
        ValueError: if their sizes differ.
    """
    different = sorted(set(sizes))
    if len(different) > 1:
        found = ", ".join(f"{width}×{height}" for height, width in different[:_SHOWN])
        more = f" and {len(different) - _SHOWN} more" if len(different) > _SHOWN else ""
        raise InputError(
            f"the images of a batch must have one size, got {found}{more}. Give the data a frame "
            "(CentreCrop, Stretch, PadToSquare), or batch_size 1."
        )


def first_images(samples: SampleSet, count: int) -> Tensor:
    """Return the first images of a set as a batch, (N, 3, H, W) in [0, 1].

    Args:
        samples: a set of images of any sizes.
        count: the most to return; fewer if the set is smaller, or if some differ from the first
            one in size.
    """
    images = [samples[place]["image"] for place in range(min(count, len(samples)))]
    return torch.stack([image for image in images if image.shape == images[0].shape])


class WatchedLoader(DataLoader[Batch]):
    """A DataLoader that reports any lost worker as torch would, and bad input in one line.

    torch raises ``RuntimeError: DataLoader worker (pid …) …`` once it sees that a worker is dead.
    If a worker is killed while it hands a batch over, the connection to it breaks before torch
    sees that it is dead, which raises a ``ConnectionResetError`` or ``EOFError`` that names no
    worker. Here it is the same error in all cases.

    The message of an error from a worker contains the worker's traceback; for an ``InputError``
    it is cut down to the original message.
    """

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        batches = super().__iter__()
        return _watched(batches) if self.num_workers else batches


def _watched(batches: Iterator[Any]) -> Iterator[Batch]:
    try:
        yield from batches
    except InputError as error:
        reason = str(error).rpartition(f"{type(error).__qualname__}: ")[2]
        raise type(error)(reason.strip()) from None
    except (OSError, EOFError) as error:
        if "in DataLoader worker process" in str(error):  # from reading a sample: no lost worker
            raise
        reason = f"{type(error).__name__}: {error}"
        raise RuntimeError(
            f"DataLoader worker (pid unknown) exited in mid-batch, {reason}"
        ) from error

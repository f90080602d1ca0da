"""A batch of samples."""

from __future__ import annotations

from torch import Tensor
from torch.utils.data import default_collate

from project.errors import InputError

Batch = dict[str, Tensor]
"""{image, target, index}: samples of a :class:`~project.data.sample_set.SampleSet`, stacked."""


def collate(samples: list[Batch]) -> Batch:
    """Stack samples to a batch.

    Raises:
        ValueError: if their sizes differ.
    """
    sizes = sorted({tuple(sample["image"].shape[1:]) for sample in samples})
    if len(sizes) > 1:
        found = ", ".join(f"{width}×{height}" for height, width in sizes)
        raise InputError(
            f"the images of a batch must have one size, got {found}. Give the data a frame "
            "(CentreCrop, Stretch, PadToSquare), or batch_size 1."
        )
    batch: Batch = default_collate(samples)
    return batch

"""A batch of samples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.data import default_collate

from project.core.errors import InputError
from project.data.sample_set import SampleSet

Batch = dict[str, Tensor]
"""{image, target, index}: samples of a :class:`~project.data.SampleSet`, stacked."""


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


def first_images(samples: SampleSet, count: int) -> Tensor:
    """Return the first images of a set as a batch, (N, 3, H, W) in [0, 1].

    Args:
        samples: any, of whatever sizes.
        count: the most to return; fewer if there are no more, or if one is of another size.
    """
    images = [samples[place]["image"] for place in range(min(count, len(samples)))]
    return torch.stack([image for image in images if image.shape == images[0].shape])

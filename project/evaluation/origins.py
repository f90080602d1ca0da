"""What images were made from: hashes that tell a clean image, and its label, from any other."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from project.core.identity import describe, digest
from project.images.eight_bit import from_levels, to_levels


class CleanOrigins:
    """Hashes of what each image of a batch is: a clean image and its label.

    An image counts to the last bit. Where it is of 8 bits, as nearly all are, its levels are
    hashed, a quarter of the bytes; older stores have hashes of the values themselves.

    Attributes:
        now: one for each image, as they are stored.

    Args:
        images: (N, 3, H, W).
        target: (N,) or (N, H, W).
    """

    def __init__(self, images: Tensor, target: Tensor) -> None:
        self._images, self._target = images.cpu(), target.cpu()
        self.now = [self._hash(place) for place in range(len(images))]

    def before(self, place: int) -> str:
        """Return what an older store would say of the image at a place of the batch."""
        return digest([describe(self._images[place]), describe(self._target[place])])

    def _hash(self, place: int) -> str:
        image = self._images[place]  # one by one, since one fits into the processor's cache
        levels = to_levels(image)
        if not np.array_equal(from_levels(levels).numpy(), image.numpy()):
            return self.before(place)
        return digest([str(image.dtype), describe(levels), describe(self._target[place])])

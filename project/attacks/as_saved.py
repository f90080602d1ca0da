"""The image that a perturbation makes, as a file would hold it."""

from __future__ import annotations

from torch import Tensor

from project.clipping import clip
from project.quantise import to_8bit


def as_saved(images: Tensor, perturbation: Tensor) -> Tensor:
    """Return the perturbed images rounded to 8 bits, with the gradient of the unrounded ones.

    So a search for small perturbations sees what rounding leaves of them: of half a level nothing.

    Source: [ours], the straight-through estimator.

    Args:
        images: (N, 3, H, W) in [0, 1].
        perturbation: of the same shape; what leaves [0, 1] is cut.
    """
    floats = clip(images + perturbation)
    return to_8bit(floats.detach()) + (floats - floats.detach())

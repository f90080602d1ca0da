"""What images were made from: hashes that tell a clean image, and its label, from any other."""

from __future__ import annotations

from torch import Tensor

from project.core.identity import describe, digest


def origins_of(images: Tensor, target: Tensor) -> list[str]:
    """Return a hash of each clean image, to the last bit, and its label."""
    pairs = zip(images.cpu(), target.cpu(), strict=True)
    return [digest([describe(image), describe(label)]) for image, label in pairs]

"""How far a copy of a victim is from it."""

from __future__ import annotations

from typing import NamedTuple, Self

from torch import Tensor


class Difference(NamedTuple):
    """How far the logits of a copy are from those of the victim.

    Attributes:
        absolute: largest difference of any logit.
        relative: the same as a share of the largest logit's size.
        agreement: share of images (for a segmenter, of pixels) with the same predicted class.
    """

    absolute: float = 0.0
    relative: float = 0.0
    agreement: float = 1.0

    @classmethod
    def between(cls, logits: Tensor, reference: Tensor) -> Self:
        """Compare logits (N, K, ...) with those of the victim."""
        absolute = float((logits - reference).abs().max())
        same = logits.argmax(1) == reference.argmax(1)
        return cls(
            absolute,
            absolute / max(float(reference.abs().max()), 1e-12),
            float(same.double().mean()),
        )

    def __str__(self) -> str:
        return (
            f"logits differ by at most {self.absolute:.1e} ({self.relative:.1e} of the largest), "
            f"{self.agreement:.2%} of the predicted classes are the same"
        )

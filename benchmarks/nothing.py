"""What a loop costs is best seen where the network costs nothing."""

from __future__ import annotations

from torch import Tensor, nn


class Nothing(nn.Module):
    """A network that costs next to nothing and still has a gradient.

    Args:
        classes: K.
        gain: what the logits are multiplied by.
    """

    def __init__(self, classes: int, gain: float = 1.0) -> None:
        super().__init__()
        self.head = nn.Linear(3, classes)
        self.gain = gain

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K) of the mean colour."""
        logits: Tensor = self.gain * self.head(images.mean((2, 3)))
        return logits


class Mosaic(nn.Module):
    """A linear head on the mean colours of 4 × 4 parts of the image.

    Args:
        classes: K.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.head = nn.Linear(3 * 4 * 4, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits (N, K)."""
        height, width = (side // 4 * 4 for side in images.shape[2:])
        parts = images[..., :height, :width].unflatten(3, (4, -1)).unflatten(2, (4, -1))
        logits: Tensor = self.head(parts.mean((3, 5)).flatten(1))
        return logits

"""Which classes a targeted attack wants, where the data set knows only the right ones."""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import Tensor

from project.core.samples import Samples


class Aim(ABC):
    """The wanted class of every element.

    Void elements need not be looked at: whatever an aim says of them, they stay void.
    """

    @abstractmethod
    def wanted(self, logits: Tensor, target: Tensor, index: Tensor) -> Tensor:
        """Return the wanted classes.

        Args:
            logits: (N, K, ...), the victim's answer to the clean images.
            target: (N,) labels or (N, H, W) label maps with 255 = void.
            index: (N,), the samples' stable ids.

        Returns:
            int64, of the target's shape; in maps 255 where nothing is wanted.
        """

    def attach(self, samples: Samples) -> None:
        """Let aims that are kept in files look samples up by index."""

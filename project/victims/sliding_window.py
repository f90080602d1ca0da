"""Segmenters that process large images window by window."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from project.core.errors import InputError
from project.victims.victim import Victim


class SlidingWindow(Victim):
    """A segmenter that sees an image in overlapping windows; each pixel's logits are their mean.

    Windows start at every ``stride``, the last of a row or column shifted inwards to end at the
    border; an image smaller than the window is one window. So an attack makes one adversarial image
    and not one per crop, and its gradient is that of all windows. They are taken one after another,
    and run once more in the backward pass, so that memory does not grow with their number.

    Source: MMSegmentation's mode ``slide`` [code]. The evaluation of Zhao et al., "Pyramid Scene
    Parsing Network", CVPR 2017, has the same windows but averages probabilities [code].

    Args:
        victim: the segmenter, which normalises, and resizes or pads, window by window.
        window: height and width of a window in pixels.
        stride: distances of the windows in pixels, downwards and to the right; at most the window.

    Raises:
        ValueError: if the victim is no segmenter, or strides leave pixels out.
    """

    task = "segmentation"

    def __init__(self, victim: Victim, window: tuple[int, int], stride: tuple[int, int]) -> None:
        if victim.task != "segmentation":
            raise InputError(
                f"windows slide over pixels, so the victim must do segmentation, got one for "
                f"{victim.task}."
            )
        if not all(1 <= step <= side for step, side in zip(stride, window, strict=True)):
            raise InputError(
                f"stride must lie between 1 and the window's sides {tuple(window)}, so that no "
                f"pixel is left out, got {tuple(stride)}."
            )
        super().__init__(victim, victim.num_classes, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0))
        self.window = window
        self.stride = stride

    @property
    def victim(self) -> Victim:
        """The segmenter inside."""
        assert isinstance(self.network, Victim)
        return self.network

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K, H, W) of images (N, 3, H, W) in [0, 1]."""
        places = self._places(*images.shape[-2:])
        covered = images.new_zeros(images.shape[-2:])
        for place in places:
            covered[place] += 1
        logits = images.new_zeros(len(images), self.num_classes, *images.shape[-2:])
        for place in places:
            logits[..., *place] += self._ask(images[..., *place]) / covered[place]
        return logits

    def _ask(self, window: Tensor) -> Tensor:
        if not torch.is_grad_enabled():
            return self.victim(window)  # type: ignore[no-any-return]
        # The second run must repeat random layers' draws, which only training has.
        return checkpoint(  # type: ignore[no-any-return]
            self.victim, window, use_reentrant=False, preserve_rng_state=self.training
        )

    def _places(self, height: int, width: int) -> list[tuple[slice, slice]]:
        rows = _spans(height, self.window[0], self.stride[0])
        columns = _spans(width, self.window[1], self.stride[1])
        return [(row, column) for row in rows for column in columns]


def _spans(length: int, window: int, stride: int) -> list[slice]:
    """Return the windows' ranges along one axis: all inside, the last one at the end."""
    window = min(window, length)
    count = -(-(length - window) // stride) + 1
    starts = (min(turn * stride, length - window) for turn in range(count))
    return [slice(start, start + window) for start in starts]

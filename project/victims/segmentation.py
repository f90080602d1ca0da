"""Segmentation victims: one logit vector for each pixel of the original image."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from project.core.errors import InputError
from project.core.logits import logits_of
from project.victims.victim import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    Channels,
    Interpolation,
    Victim,
)


class SegmentationVictim(Victim):
    """Wrap any segmenter: (N, 3, H, W) in [0, 1] to (N, K, H, W), for every H and W.

    Images are normalised, then padded at the right and the bottom to a multiple of ``divisor``
    with zeros, which is the mean colour, as the network's own convolutions pad. (Repeating the
    edge would give border pixels a larger gradient, and its backward pass on a GPU is not
    deterministic.) A network that answers at another size than its padded input is resized to it
    bilinearly with ``align_corners=True``, and the padding is cropped off.

    Args:
        network: from normalised images to logits (N, K, h, w).
        num_classes: K.
        mean: per channel, in [0, 1] units.
        std: per channel, in [0, 1] units.
        input_size: side of the square that images are stretched to inside, and the logits back;
            None keeps their size.
        interpolation: how the images are resized.
        divisor: heights and widths given to the network are multiples of it.
    """

    task = "segmentation"

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        input_size: int | None = None,
        interpolation: Interpolation = "bilinear",
        divisor: int = 1,
    ) -> None:
        super().__init__(
            network,
            num_classes,
            mean=mean,
            std=std,
            input_size=input_size,
            interpolation=interpolation,
        )
        if divisor < 1:
            raise InputError(f"divisor must be at least 1, got {divisor}.")
        self.divisor = divisor

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K, H, W) of images (N, 3, H, W) in [0, 1]."""
        inputs = self.normalise(self.resize(images))
        height, width = inputs.shape[-2:]
        padded = F.pad(inputs, (0, -width % self.divisor, 0, -height % self.divisor))
        logits = _stretch(self.answer(padded), padded)[..., :height, :width]
        return _stretch(logits, images)

    def answer(self, inputs: Tensor) -> Tensor:
        """Return the network's logits of normalised, padded images, perhaps at a smaller size."""
        return logits_of(self.network(inputs))


def _stretch(logits: Tensor, like: Tensor) -> Tensor:
    if logits.shape[-2:] == like.shape[-2:]:
        return logits
    return F.interpolate(logits, like.shape[-2:], mode="bilinear", align_corners=True)

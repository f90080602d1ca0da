"""The interface of victims, which take images in [0, 1] and normalise inside.

Convention
    images   (N, 3, H, W) float in [0, 1], RGB, never normalised
    logits   (N, K) for classification, (N, K, H, W) for segmentation, never probabilities
    sizes    one number is the side of a square, in pixels

So a budget such as 8/255 means the same for every victim, whatever its mean and std.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.arrays import weights_hash
from project.core.errors import InputError
from project.core.logits import logits_of

Task = Literal["classification", "segmentation"]
Interpolation = Literal["bilinear", "bicubic"]
Channels = tuple[float, float, float]

IMAGENET_MEAN: Channels = (0.485, 0.456, 0.406)
IMAGENET_STD: Channels = (0.229, 0.224, 0.225)


class Victim(nn.Module, ABC):
    """A network with its own preprocessing, as attacks, training and evaluation use it.

    Args:
        network: from normalised images to logits.
        num_classes: K, the number of logits.
        mean: per channel, in [0, 1] units, subtracted inside.
        std: per channel, in [0, 1] units, divided by inside.
        input_size: side of the square that images are resized to inside; None keeps their size.
        interpolation: how they are resized (antialiased, differentiable).
    """

    task: Task

    def __init__(
        self,
        network: nn.Module,
        num_classes: int,
        *,
        mean: Channels = IMAGENET_MEAN,
        std: Channels = IMAGENET_STD,
        input_size: int | None = None,
        interpolation: Interpolation = "bilinear",
    ) -> None:
        super().__init__()
        if num_classes < 2:
            raise InputError(
                f"num_classes must be at least 2, one logit for each class, got {num_classes}. A "
                "binary network with one logit z is the same with two, 0 and z: "
                "torch.cat([torch.zeros_like(z), z], 1)."
            )
        if min(std) <= 0:
            raise InputError(f"std must be positive in every channel, got {std}.")
        self.network = network
        self.num_classes = num_classes
        self.mean = mean
        self.std = std
        self.input_size = input_size
        self.interpolation: Interpolation = interpolation
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        # Not persistent: a checkpoint holds only learned weights, the config gives the rest.
        self.register_buffer("pixel_mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return the logits of images (N, 3, H, W) in [0, 1]."""

    def normalise(self, images: Tensor) -> Tensor:
        """Return (images − mean) / std, channel by channel."""
        # In place on the difference, a new tensor: the images themselves are never changed.
        return (images - self.pixel_mean).div_(self.pixel_std)

    def resize(self, images: Tensor) -> Tensor:
        """Return the images resized to ``input_size``²; those of that size are unchanged."""
        if self.input_size is None or tuple(images.shape[-2:]) == (self.input_size,) * 2:
            return images
        size = (self.input_size, self.input_size)
        return F.interpolate(
            images, size, mode=self.interpolation, antialias=True, align_corners=False
        )

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights.

        It is computed each time: torch tells of some changes only, not of another layer in a
        layer's place, nor of what is written through ``data`` or numpy.
        """
        return weights_hash(self)


class ClassificationVictim(Victim):
    """Wrap any classifier: (N, 3, H, W) in [0, 1] to (N, K). Arguments as for :class:`Victim`."""

    task = "classification"

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, 3, H, W) in [0, 1]."""
        return logits_of(self.network(self.normalise(self.resize(images))))

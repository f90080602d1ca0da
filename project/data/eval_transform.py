"""Frames: deterministic transforms of a photo of any size, and its mask, to an evaluation image.

Convention
    Every frame works on uint8 through albumentations, so pixels stay multiples of 1/255. Images
    are resized bilinearly (area-averaged when they shrink), masks by nearest neighbour with pixel
    centres aligned; padding is 0 in the image and 255 (void) in the mask.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import albumentations as A
import cv2

from project.core.errors import InputError
from project.core.losses import VOID

# INTER_NEAREST rounds down, which moves a mask by up to half a pixel against its image.
RESIZING: dict[str, Any] = {
    "interpolation": cv2.INTER_LINEAR,
    "mask_interpolation": cv2.INTER_NEAREST_EXACT,
    "area_for_downscale": "image",
}


class Frame(ABC):
    """The deterministic transform between a file and an evaluation image."""

    @abstractmethod
    def steps(self) -> list[Any]:
        """Return the albumentations transforms, in order."""

    def compose(self) -> Any:
        """Return the frame as one callable of ``image=`` and ``mask=``."""
        return A.Compose(self.steps())


class Native(Frame):
    """The file's own size. Sizes that differ need ``batch_size: 1``."""

    def steps(self) -> list[Any]:
        """Return no transform at all."""
        return []


class CentreCrop(Frame):
    """Resize the shorter side, then cut out the central square: the ImageNet evaluation.

    Args:
        resize: shorter side in pixels before the crop; None keeps the file's size.
        crop: side of the square in pixels.
    """

    def __init__(self, resize: int | None = 256, crop: int = 224) -> None:
        if resize is not None and resize < crop:
            raise InputError(
                f"resize must be at least crop, got resize {resize} and crop {crop}. "
                "A crop cannot be larger than the image."
            )
        self.resize = resize
        self.crop = crop

    def steps(self) -> list[Any]:
        """Return resize and crop."""
        resize = [] if self.resize is None else [A.SmallestMaxSize(self.resize, **RESIZING)]
        return [*resize, A.CenterCrop(self.crop, self.crop)]


class Stretch(Frame):
    """Resize to a fixed height and width, without keeping the aspect ratio.

    Args:
        height: rows of the result.
        width: columns of the result.
    """

    def __init__(self, height: int, width: int) -> None:
        self.height = height
        self.width = width

    def steps(self) -> list[Any]:
        """Return the resize."""
        return [A.Resize(self.height, self.width, **RESIZING)]


class PadToSquare(Frame):
    """Resize the longer side, then pad below and to the right: the VOC evaluation at 513².

    Source: Chen et al., DeepLab's evaluation on PASCAL VOC pads to 513 × 513 at the bottom right;
    the padding there is the mean colour, here it is 0 [ours].

    Args:
        size: side of the square in pixels.
    """

    def __init__(self, size: int = 513) -> None:
        self.size = size

    def steps(self) -> list[Any]:
        """Return resize and padding."""
        return [A.LongestMaxSize(self.size, **RESIZING), pad_to(self.size, self.size)]


def pad_to(height: int, width: int) -> Any:
    """Return a padding below and to the right: 0 in the image, void in the mask."""
    return A.PadIfNeeded(
        height,
        width,
        position="top_left",
        border_mode=cv2.BORDER_CONSTANT,
        fill=0,
        fill_mask=VOID,
    )

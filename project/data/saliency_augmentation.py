"""The augmentation that TRACER was trained with."""

from __future__ import annotations

from typing import Any

import albumentations as A

from project.data.augmentation import Augmentation
from project.data.frame import Frame

_BLUR = (3, 5)  # sides of the kernel in pixels
_NOISE = (5**0.5 / 255, 20**0.5 / 255)  # standard deviation, from a variance of 5 to 20 levels²


class TracerAugmentation(Augmentation):
    """At most one turn or mirror image, one change of tone and one blur, then the frame.

    Each kind is drawn with its own probability; its members (mirror left and right, mirror up and
    down, quarter turns; contrast, gamma, brightness; motion, median and Gaussian blur, Gaussian
    noise) are equally likely.

    Source: "hard" augmentation of https://github.com/Karel911/TRACER [code]; limits that it leaves
    to its library are those of albumentations, 20 %.

    Args:
        flip: probability of a turn or mirror image.
        tone: probability of a change of tone.
        blur: probability of blur or noise.
    """

    def __init__(self, flip: float = 0.5, tone: float = 0.5, blur: float = 0.5) -> None:
        super().__init__(flip)
        self.tone = tone
        self.blur = blur

    def compose(self, frame: Frame) -> Any:
        """Return the whole training transform as one albumentations callable."""
        turns = [A.HorizontalFlip(p=1), A.VerticalFlip(p=1), A.RandomRotate90(p=1)]
        tones = [
            A.RandomBrightnessContrast(brightness_limit=0, contrast_limit=0.2, p=1),
            A.RandomGamma(p=1),
            A.RandomBrightnessContrast(brightness_limit=0.2, contrast_limit=0, p=1),
        ]
        blurs = [
            A.MotionBlur(_BLUR, p=1),
            A.MedianBlur(_BLUR, p=1),
            A.GaussianBlur(_BLUR, p=1),
            A.GaussNoise(_NOISE, p=1),
        ]
        kinds = ((turns, self.flip), (tones, self.tone), (blurs, self.blur))
        return A.Compose([*(A.OneOf(steps, p=p) for steps, p in kinds), *self.geometry(frame)])

"""Training augmentation of image and mask together, with draws keyed by epoch and sample."""

from __future__ import annotations

from typing import Any

import albumentations as A
import cv2
import torch
from torch import Tensor
from torch.utils.data import Dataset

from project.core.losses import VOID
from project.core.randomness import generator
from project.data.eval_transform import RESIZING, Frame, pad_to
from project.data.sample_set import SampleSet


class Augmentation:
    """The evaluation frame, then a random mirror image and random colours.

    Args:
        flip: probability of mirroring left and right.
        colour_jitter: largest relative change of brightness, contrast and saturation, in [0, 1];
            0 leaves the colours alone.
    """

    def __init__(self, flip: float = 0.5, colour_jitter: float = 0.0) -> None:
        self.flip = flip
        self.colour_jitter = colour_jitter

    def geometry(self, frame: Frame) -> list[Any]:
        """Return the transforms that set the size: here those of evaluation."""
        return frame.steps()

    def compose(self, frame: Frame) -> Any:
        """Return the whole training transform as one albumentations callable."""
        steps = [*self.geometry(frame), A.HorizontalFlip(p=self.flip)]
        if self.colour_jitter > 0:
            span = (1 - self.colour_jitter, 1 + self.colour_jitter)
            steps.append(A.ColorJitter(span, span, span, hue=(0, 0), p=1.0))
        return A.Compose(steps)


class ScaledCrop(Augmentation):
    """Scale the photo at random, pad it where it is too small, cut out a random window.

    The usual augmentation of semantic segmentation; it replaces the evaluation frame.

    Args:
        height: rows of the window.
        width: columns of the window.
        scale: smallest and largest factor.
        flip: probability of mirroring left and right.
        colour_jitter: as in :class:`Augmentation`.
    """

    def __init__(
        self,
        height: int,
        width: int,
        scale: tuple[float, float] = (0.5, 2.0),
        flip: float = 0.5,
        colour_jitter: float = 0.0,
    ) -> None:
        super().__init__(flip, colour_jitter)
        self.height = height
        self.width = width
        self.scale = scale

    def geometry(self, frame: Frame) -> list[Any]:
        """Return scaling, padding and cropping."""
        limits = (self.scale[0] - 1, self.scale[1] - 1)
        return [
            A.RandomScale(limits, p=1.0, **RESIZING),
            pad_to(self.height, self.width),
            A.RandomCrop(self.height, self.width),
        ]


class ResizedCrop(Augmentation):
    """Cut out a window of random area and shape and resize it: the ImageNet augmentation.

    Source: Szegedy et al., "Going Deeper with Convolutions", CVPR 2015, section 6. It replaces
    the evaluation frame.

    Args:
        size: side of the result in pixels.
        scale: smallest and largest share of the photo's area.
        flip: probability of mirroring left and right.
        colour_jitter: as in :class:`Augmentation`.
    """

    def __init__(
        self,
        size: int = 224,
        scale: tuple[float, float] = (0.08, 1.0),
        flip: float = 0.5,
        colour_jitter: float = 0.0,
    ) -> None:
        super().__init__(flip, colour_jitter)
        self.size = size
        self.scale = scale

    def geometry(self, frame: Frame) -> list[Any]:
        """Return the random resized crop."""
        return [A.RandomResizedCrop((self.size, self.size), scale=self.scale, **RESIZING)]


class PaddedCrop(Augmentation):
    """Pad the frame on all sides and cut a window of its size out again: CIFAR's augmentation.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, section 4.2: 4
    pixels of zeros on each side.

    Args:
        size: side of the square frame, and of the window, in pixels.
        padding: pixels on each side, 0 in the image and void in a mask.
        flip: probability of mirroring left and right.
        colour_jitter: as in :class:`Augmentation`.
    """

    def __init__(
        self, size: int = 32, padding: int = 4, flip: float = 0.5, colour_jitter: float = 0.0
    ) -> None:
        super().__init__(flip, colour_jitter)
        self.size = size
        self.padding = padding

    def geometry(self, frame: Frame) -> list[Any]:
        """Return the evaluation frame, the padding and the crop."""
        border = {"border_mode": cv2.BORDER_CONSTANT, "fill": 0, "fill_mask": VOID}
        return [
            *frame.steps(),
            A.Pad(self.padding, p=1.0, **border),
            A.RandomCrop(self.size, self.size),
        ]


class Augmented(Dataset[dict[str, Tensor]]):
    """A sample set under augmentation, addressed by (epoch, position).

    The draw of a sample depends on (seed, epoch, index) alone: not on workers, batches or ranks.

    Args:
        samples: the training set.
        augmentation: the augmentation; None applies the evaluation frame alone.
        seed: key of all draws.
    """

    def __init__(self, samples: SampleSet, augmentation: Augmentation | None, seed: int) -> None:
        self.samples = samples
        self.augmentation = augmentation
        self.seed = seed
        frame = samples.frame
        self._transform = augmentation.compose(frame) if augmentation else frame.compose()

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Tensor]:
        """Return the sample at ``position`` as it looks in ``epoch``; see :class:`SampleSet`."""
        epoch, position = key
        index = self.samples.indices[position]
        # Reseeded for every sample, so that worker, batch and rank make no difference.
        draw = generator("augmentation", self.seed, epoch, index)
        self._transform.set_random_seed(int(torch.randint(2**31, (), generator=draw)))
        return self.samples.sample(index, self._transform)


_BLUR = (3, 5)  # sides of the kernel in pixels
_NOISE = (5**0.5 / 255, 20**0.5 / 255)  # standard deviation, from a variance of 5 to 20 levels²


class TracerAugmentation(Augmentation):
    """TRACER's augmentation: at most one turn or flip, one change of tone and one blur.

    Each kind is drawn with its own probability; its members (mirror left and right, mirror up and
    down, quarter turns; contrast, gamma, brightness; motion, median and Gaussian blur, Gaussian
    noise) are equally likely. The frame comes after them.

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

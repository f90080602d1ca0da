"""What the parts are given, and the lines that they tell."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from gpu.device import Device

_IMAGE_BYTES = 200 * 2**20
"""About what an image of 224² takes in a step on a ResNet-50, and as much again."""


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes:
        what: that was measured or tried.
        figure: what came.
        target: what should have come; empty: nobody has said.
        passed: whether it did; None where there is no target.
        appendix: output of a script, for the end of the page.
    """

    what: str
    figure: str
    target: str = ""
    passed: bool | None = None
    appendix: str = ""


@dataclass(frozen=True)
class Scale:
    """How much is done.

    Attributes:
        network: timm's name of the classifier.
        segmenter: smp's ARCHITECTURE:ENCODER.
        images: of a batch, where they fit.
        size: height and width of classifiers' images; segmenters' have half of that.
        steps: of an attack.
        rounds: of a comparison.
        most: images of the largest batch that is looked for.
        numbers: of a transfer.
    """

    network: str
    segmenter: str
    images: int
    size: int
    steps: int
    rounds: int
    most: int
    numbers: int


SCALES = {
    "full": Scale("resnet50", "Unet:resnet50", 256, 224, 10, 5, 2048, 2**27),
    "quick": Scale("resnet18", "Unet:resnet18", 64, 224, 10, 2, 256, 2**25),
    "trial": Scale("test_resnet", "Unet:resnet18", 2, 64, 2, 1, 2, 2**12),
}


@dataclass(frozen=True)
class Run:
    """What a part is given.

    Attributes:
        device: to measure.
        scale: how much to do.
        folder: for its files.
    """

    device: Device
    scale: Scale
    folder: Path

    @cached_property
    def images(self) -> int:
        """As many as the scale says or the free memory held at first, a power of two."""
        held = max(2, self.device.memory() // _IMAGE_BYTES)
        return min(self.scale.images, 1 << (int(held).bit_length() - 1))

    def batch(self, count: int | None = None) -> tuple[Tensor, Tensor]:
        """Return random 8-bit images and classes, on the device."""
        side, count = self.scale.size, count or self.images
        levels = torch.randint(0, 256, (count, 3, side, side), dtype=torch.uint8)
        target = torch.arange(count) % 10
        return (levels / 255).to(self.device.place), target.to(self.device.place)


def at_most(what: str, value: float, most: float, unit: str = "", more: str = "") -> Line:
    """Return a line of a figure that must not be larger."""
    return Line(what, f"{value:.3g}{unit}{more}", f"≤ {most:g}{unit}", value <= most)


def at_least(what: str, value: float, least: float, unit: str = "", more: str = "") -> Line:
    """Return a line of a figure that must not be smaller."""
    return Line(what, f"{value:.3g}{unit}{more}", f"≥ {least:g}{unit}", value >= least)

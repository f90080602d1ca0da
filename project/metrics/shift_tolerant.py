"""ST-LPIPS: a learned perceptual metric that small shifts of the whole image hardly move.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device; 0 for identical images
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import lpips
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.errors import InputError
from project.core.packages import in_package
from project.metrics.learned import channels_last, weighted_distance
from project.metrics.perceptual_metric import PerceptualMetric
from project.victims.weights import read_weights

ShiftTolerantNet = Literal["alex", "vgg"]

_PACKAGE = "stlpips_pytorch"
_REMEDY = "pip install stlpips-pytorch"


class STLPIPS(PerceptualMetric[list[Tensor]]):
    """LPIPS on networks that blur before every subsampling: tolerant of shifts, 0 is identical.

    The formula of :class:`~project.metrics.LPIPS`, on networks trained for it: each pooling is a
    maximum of stride 1, a reflected border and a 3×3 binomial filter of stride 2, and AlexNet's
    first convolution has stride 1. LPIPS answers to a shift by one pixel, which nobody sees, as to
    a visible change; this one hardly does. It matters for flows, which are small local shifts.

    Networks and weights are those of the package ``stlpips-pytorch``, whose wheel holds them; none
    of its code is run, since that imports packages which it does not ask for.

    Source: Ghildyal, Liu, "Shift-tolerant perceptual similarity metric", ECCV 2022, sections 3 and
    4 [paper]; paddings and order of layers [code].

    Args:
        net: backbone: ``alex`` or ``vgg`` (VGG-16, some four times the time).

    Raises:
        InputError: if the package is not installed, or its weights are not these networks'.
    """

    def __init__(self, net: ShiftTolerantNet) -> None:
        self.net = net
        self.name = f"stlpips_{net}"
        # The last blur's reflected border needs 3 pixels.
        self.smallest = {"alex": 21, "vgg": 18}[net]
        self.network = _network(net).to(memory_format=torch.channels_last)

    def prepare(self, clean: Tensor) -> list[Tensor]:
        """Return the network's features of clean grey levels, normalised to length 1 per pixel."""
        network = self.network.to(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            features: list[Tensor] = network(channels_last(clean.float() / 127.5 - 1))
            return [lpips.normalize_tensor(layer) for layer in features]

    def compare(self, side: list[Tensor], adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,), at least 0."""
        return weighted_distance(side, self.prepare(adversarial), self.network.weights())


class ShiftTolerantFeatures(nn.Module):
    """The stages of a network, with LPIPS's weight of each of their channels.

    Args:
        stages: their layers, one stage after the other.
        widths: channels that each stage gives.
    """

    shift: Tensor
    scale: Tensor

    def __init__(self, stages: Sequence[Sequence[nn.Module]], widths: Sequence[int]) -> None:
        super().__init__()
        self.register_buffer("shift", torch.zeros(1, 3, 1, 1))
        self.register_buffer("scale", torch.ones(1, 3, 1, 1))
        self.stages = nn.ModuleList()
        count = 0
        for stage in stages:  # layers are numbered through, as in the published files
            named = OrderedDict((str(count + place), layer) for place, layer in enumerate(stage))
            self.stages.append(nn.Sequential(named))
            count += len(stage)
        self.linear = nn.ParameterList([torch.zeros(1, width, 1, 1) for width in widths])

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return every stage's features of images (N, 3, H, W) in [-1, 1]."""
        maps = (images - self.shift) / self.scale
        found = []
        for stage in self.stages:
            maps = stage(maps)
            found.append(maps)
        return found

    def weights(self) -> list[Tensor]:
        """Return each stage's weights, (1, D, 1, 1)."""
        return list(self.linear)


class BlurredSubsampling(nn.Module):
    """Every second pixel after a 3×3 binomial filter, over a border of two reflected pixels."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("filt", torch.zeros(channels, 1, 3, 3))  # comes with the weights

    def forward(self, maps: Tensor) -> Tensor:
        """Subsample maps (N, D, H, W), to (H + 3) // 2 rows and likewise columns."""
        bordered = F.pad(maps, (2, 2, 2, 2), mode="reflect")
        return F.conv2d(bordered, self.filt, stride=2, groups=maps.shape[1])


def _network(net: ShiftTolerantNet) -> ShiftTolerantFeatures:
    """Return a backbone with its published weights, frozen."""
    build = {"alex": _alex, "vgg": _vgg}[net]
    network = build()
    path = _published(net)
    state = {_renamed(key): value for key, value in read_weights(path).items()}
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise InputError(
            f"the weights in {path} are not those of stlpips_{net}. Install the package again: "
            f"{_REMEDY}"
        ) from error
    return network.eval().requires_grad_(False)


def _published(net: ShiftTolerantNet) -> Path:
    """Return the file of a backbone's weights in the installed package.

    Raises:
        InputError: if the package is not installed.
    """
    path = in_package(f"{_PACKAGE}/weights/vST0.0/{net}_shift_tolerant.pth")
    if path is not None:
        return path
    raise InputError(
        f"stlpips_{net} needs the weights in the package stlpips-pytorch, which is not installed. "
        f"Install it: {_REMEDY}"
    )


def _renamed(key: str) -> str:
    """Return our name of a published weight, such as stages.0.2.filt for net.slice1.2.filt."""
    if key.startswith("net.slice"):
        stage, rest = key.removeprefix("net.slice").split(".", 1)
        return f"stages.{int(stage) - 1}.{rest}"
    if key.startswith("lin"):
        return f"linear.{key[3]}"
    return key.removeprefix("scaling_layer.")


def _alex() -> ShiftTolerantFeatures:
    stages = [
        [nn.Conv2d(3, 64, 11, padding=2), BlurredSubsampling(64), nn.ReLU()],
        [nn.MaxPool2d(3, 1), BlurredSubsampling(64), nn.Conv2d(64, 192, 5, padding=2), nn.ReLU()],
        [nn.MaxPool2d(3, 1), BlurredSubsampling(192), *_convolutions(192, 384)],
        [*_convolutions(384, 256)],
        [*_convolutions(256, 256)],
    ]
    return ShiftTolerantFeatures(stages, (64, 192, 384, 256, 256))


def _vgg() -> ShiftTolerantFeatures:
    widths = (64, 128, 256, 512, 512)
    stages = [_convolutions(3, 64, 64)]
    for before, width, depth in zip(widths[:-1], widths[1:], (2, 3, 3, 3), strict=True):
        pooled = [nn.MaxPool2d(2, 1), BlurredSubsampling(before)]
        stages.append([*pooled, *_convolutions(before, *[width] * depth)])
    return ShiftTolerantFeatures(stages, widths)


def _convolutions(*channels: int) -> list[nn.Module]:
    """Return 3×3 convolutions from each number of channels to the next, with ReLU."""
    layers: list[nn.Module] = []
    for before, after in pairwise(channels):
        layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
    return layers

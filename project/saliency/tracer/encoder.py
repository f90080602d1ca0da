"""EfficientNet as TRACER's encoder, under the names and with the padding of the published files."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from project.saliency.tracer.attention import FrequencyEdge
from project.saliency.tracer.blocks import MBConv, SameConv2d, batch_norm

TracerVariant = Literal["b0", "b1", "b2", "b3", "b4", "b5", "b6", "b7"]


class CompoundScaling(NamedTuple):
    """The scaling of an EfficientNet variant.

    Attributes:
        width: factor of the number of channels.
        depth: factor of the number of blocks.
        side: side in pixels of the images for which the padding is computed (not TRACER's input
            size).
    """

    width: float
    depth: float
    side: int


class Stage(NamedTuple):
    """A stage of EfficientNet-B0: its blocks of one width."""

    blocks: int
    kernel_size: int
    stride: int
    expansion: int
    channels: int


SCALES: dict[TracerVariant, CompoundScaling] = {
    "b0": CompoundScaling(1.0, 1.0, 224),
    "b1": CompoundScaling(1.0, 1.1, 240),
    "b2": CompoundScaling(1.1, 1.2, 260),
    "b3": CompoundScaling(1.2, 1.4, 300),
    "b4": CompoundScaling(1.4, 1.8, 380),
    "b5": CompoundScaling(1.6, 2.2, 456),
    "b6": CompoundScaling(1.8, 2.6, 528),
    "b7": CompoundScaling(2.0, 3.1, 600),
}
_STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
_TAPPED = (1, 2, 4, 6)
"""The stages whose last block gives a level of features."""
_DROP = 0.2


class Encoder(nn.Module):
    """EfficientNet without head, with the edge module after its first level.

    Source: Tan & Le, "EfficientNet", ICML 2019 [paper]; names, BatchNorm and padding of
    efficientnet_pytorch, which the published weights were trained in [code].

    Attributes:
        taps: index of the block that ends each of the four levels.
        channels: of the four levels.

    Args:
        variant: the EfficientNet variant, which sets width and depth.
    """

    def __init__(self, variant: TracerVariant) -> None:
        super().__init__()
        scale = SCALES[variant]
        width, side = rounded(32 * scale.width), scale.side
        self._conv_stem = SameConv2d(3, width, 3, side, stride=2)
        self._bn0 = batch_norm(width)
        self._blocks = nn.ModuleList()
        side, ends, channels = math.ceil(side / 2), [], []
        for stage in _STAGES:
            out = rounded(stage.channels * scale.width)
            for number in range(math.ceil(stage.blocks * scale.depth)):
                stride = stage.stride if number == 0 else 1
                self._blocks.append(
                    MBConv(width, out, stage.kernel_size, stride, stage.expansion, side)
                )
                width, side = out, math.ceil(side / stride)
            ends.append(len(self._blocks) - 1)
            channels.append(out)
        self.taps = [ends[place] for place in _TAPPED]
        self.channels = [channels[place] for place in _TAPPED]
        self.Frequency_Edge_Module1 = FrequencyEdge(self.channels[0])

    def forward(self, images: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return features at 1/4, 1/8, 1/16, 1/32 of the size, and edge logits at 1/4, ≥ 0."""
        features = F.silu(self._bn0(self._conv_stem(images)))
        levels, edge = [], features
        for place, block in enumerate(self._blocks):
            features = block(features, _DROP * place / len(self._blocks))
            if place == self.taps[0]:
                features, edge = self.Frequency_Edge_Module1(features)
            if place in self.taps:
                levels.append(features)
        return levels, edge


def rounded(channels: float) -> int:
    """Round to a multiple of 8, but not down by more than a tenth."""
    nearest = max(8, int(channels + 4) // 8 * 8)
    return nearest if nearest >= 0.9 * channels else nearest + 8


_SQUEEZE = {"se.conv_reduce": "_se_reduce", "se.conv_expand": "_se_expand"}
_PLAIN = {
    "conv_dw": "_depthwise_conv",
    "bn1": "_bn1",
    "conv_pw": "_project_conv",
    "bn2": "_bn2",
    **_SQUEEZE,
}
_EXPANDING = {
    "conv_pw": "_expand_conv",
    "bn1": "_bn0",
    "conv_dw": "_depthwise_conv",
    "bn2": "_bn1",
    "conv_pwl": "_project_conv",
    "bn3": "_bn2",
    **_SQUEEZE,
}


def from_timm(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Rename the weights of timm's ``tf_efficientnet_b*`` to the encoder's, without the head."""
    renamed: dict[str, Tensor] = {}
    places: dict[str, int] = {}
    for name, value in weights.items():
        parts = name.split(".")
        if parts[0] in ("conv_stem", "bn1"):
            parts[0] = {"conv_stem": "_conv_stem", "bn1": "_bn0"}[parts[0]]
            renamed[".".join(parts)] = value
        elif parts[0] == "blocks":
            block = ".".join(parts[:3])
            place = places.setdefault(block, len(places))
            names = _EXPANDING if f"{block}.conv_pwl.weight" in weights else _PLAIN
            inner = names[".".join(parts[3:-1])]
            renamed[f"_blocks.{place}.{inner}.{parts[-1]}"] = value
    return renamed

"""TRACER's decoder: from three levels of features to the first map."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.saliency.tracer.attention import UnionAttention
from project.saliency.tracer.units import ConvUnit

_SQUARE = (3, 3)


class ReceptiveField(nn.Module):
    """Convolve features at four scales of growing dilation, and add a residual branch.

    Source: Liu, Huang & Wang, "Receptive Field Block Net", ECCV 2018 [paper], with SELU as in the
    code of TRACER [code].

    Args:
        in_channels: C_in.
        channels: C of the result.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.branch0 = nn.Sequential(ConvUnit(in_channels, channels))
        self.branch1, self.branch2, self.branch3 = (
            nn.Sequential(
                ConvUnit(in_channels, channels),
                ConvUnit(channels, channels, (1, reach)),
                ConvUnit(channels, channels, (reach, 1)),
                ConvUnit(channels, channels, _SQUARE, dilation=reach),
            )
            for reach in (3, 5, 7)
        )
        self.conv_cat = ConvUnit(4 * channels, channels, _SQUARE)
        self.conv_res = ConvUnit(in_channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C, H, W)."""
        branches = (self.branch0, self.branch1, self.branch2, self.branch3)
        seen = torch.cat([branch(features) for branch in branches], 1)
        return torch.relu(self.conv_cat(seen) + self.conv_res(features))


class Aggregation(nn.Module):
    """Merge three levels of features, and apply union attention to the result.

    Source: Lee, Shin & Han, "TRACER", AAAI 2022, multi-level aggregation [paper], after Wu, Su &
    Huang, "Cascaded Partial Decoder", CVPR 2019 [paper].

    Args:
        channels: of the three levels, the finest first.
    """

    def __init__(self, channels: tuple[int, int, int]) -> None:
        super().__init__()
        fine, middle, coarse = channels
        self.conv_upsample1 = ConvUnit(coarse, middle, _SQUARE)
        self.conv_upsample2 = ConvUnit(coarse, fine, _SQUARE)
        self.conv_upsample3 = ConvUnit(middle, fine, _SQUARE)
        self.conv_upsample4 = ConvUnit(coarse, coarse, _SQUARE)
        self.conv_upsample5 = ConvUnit(coarse + middle, coarse + middle, _SQUARE)
        self.conv_concat2 = ConvUnit(coarse + middle, coarse + middle, _SQUARE)
        self.conv_concat3 = ConvUnit(sum(channels), sum(channels), _SQUARE)
        self.UAM = UnionAttention(sum(channels))

    def forward(self, fine: Tensor, middle: Tensor, coarse: Tensor) -> Tensor:
        """Return a logit map (N, 1, H, W) of levels of H×W, H/2×W/2 and H/4×W/4."""
        coarse2, middle2 = doubled(coarse), doubled(middle)
        agreed = self.conv_upsample1(coarse2) * middle
        merged = self.conv_concat2(torch.cat([agreed, self.conv_upsample4(coarse2)], 1))
        agreed = self.conv_upsample2(doubled(coarse2)) * self.conv_upsample3(middle2) * fine
        merged = torch.cat([agreed, self.conv_upsample5(doubled(merged))], 1)
        logits: Tensor = self.UAM(self.conv_concat3(merged))
        return logits


def doubled(features: Tensor) -> Tensor:
    """Double height and width bilinearly, with corners aligned."""
    return F.interpolate(features, scale_factor=2, mode="bilinear", align_corners=True)

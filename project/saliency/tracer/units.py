"""TRACER's convolution units, each with BatchNorm and SELU.

Attribute names in this package are the published ones, so that published weight files fit.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import selu

_BRANCHES = ((1, 1), (3, 1), (3, 3), (3, 5))
"""Kernel size and dilation of a refinement's branches."""


class ConvUnit(nn.Module):
    """Convolution with size-preserving padding, BatchNorm, SELU."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: tuple[int, int] = (1, 1),
        dilation: int = 1,
    ) -> None:
        super().__init__()
        padding = (dilation * (kernel_size[0] // 2), dilation * (kernel_size[1] // 2))
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel_size, padding=padding, dilation=dilation, bias=False
        )
        self.bn = nn.BatchNorm2d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return selu(self.bn(self.conv(features)))


class DepthwiseUnit(nn.Module):
    """Depthwise convolution, BatchNorm, SELU."""

    def __init__(self, channels: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__()
        padding = dilation * (kernel_size // 2)
        self.DWConv = nn.Conv2d(
            channels,
            channels,
            kernel_size,
            padding=padding,
            dilation=dilation,
            groups=channels,
            bias=False,
        )
        self.bn = nn.BatchNorm2d(channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to the same shape."""
        return selu(self.bn(self.DWConv(features)))


class SeparableUnit(DepthwiseUnit):
    """Depthwise 3×3 convolution and pointwise convolution, each with BatchNorm and SELU."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__(in_channels, 3)
        self.PWConv = nn.Conv2d(in_channels, out_channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, in_channels, H, W) to (N, out_channels, H, W)."""
        return selu(self.bn2(self.PWConv(super().forward(features))))


class Refinement(nn.Module):
    """A separable convolution followed by four parallel depthwise ones of growing reach.

    Args:
        in_channels: C_in.
        channels: C of the result, a multiple of 4, of which each branch gives a quarter.
    """

    def __init__(self, in_channels: int, channels: int) -> None:
        super().__init__()
        self.DWSConv = SeparableUnit(in_channels, channels)
        self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4 = (
            nn.Sequential(
                DepthwiseUnit(channels, kernel_size, dilation), ConvUnit(channels, channels // 4)
            )
            for kernel_size, dilation in _BRANCHES
        )

    def refine(self, features: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C, H, W)."""
        base: Tensor = self.DWSConv(features)
        branches = (self.DWConv1, self.DWConv2, self.DWConv3, self.DWConv4)
        return torch.cat([branch(base) for branch in branches], 1) + base

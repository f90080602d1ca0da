"""EfficientNet's block and its convolution, under the names of efficientnet_pytorch."""

from __future__ import annotations

import math

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.ops import stochastic_depth


class MBConv(nn.Module):
    """Mobile inverted bottleneck with squeeze and excitation.

    Args:
        in_channels: C_in.
        out_channels: C_out; with stride 1 and C_in = C_out the input is added.
        kernel_size: kernel size of the depthwise convolution.
        stride: stride of the depthwise convolution.
        expansion: factor of the channels in between; with 1 there is no expanding convolution.
        side: side in pixels of the input for which the padding is computed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        expansion: int,
        side: int,
    ) -> None:
        super().__init__()
        width, squeezed = in_channels * expansion, max(1, in_channels // 4)
        self._expands = expansion != 1
        self._adds = stride == 1 and in_channels == out_channels
        if self._expands:
            self._expand_conv = nn.Conv2d(in_channels, width, 1, bias=False)
            self._bn0 = batch_norm(width)
        self._depthwise_conv = SameConv2d(width, width, kernel_size, side, stride, groups=width)
        self._bn1 = batch_norm(width)
        self._se_reduce = nn.Conv2d(width, squeezed, 1)
        self._se_expand = nn.Conv2d(squeezed, width, 1)
        self._project_conv = nn.Conv2d(width, out_channels, 1, bias=False)
        self._bn2 = batch_norm(out_channels)

    def forward(self, features: Tensor, drop: float) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H/stride, W/stride).

        Args:
            features: (N, C_in, H, W).
            drop: probability that an image skips the block in training.
        """
        inner = features
        if self._expands:
            inner = F.silu(self._bn0(self._expand_conv(inner)))
        inner = F.silu(self._bn1(self._depthwise_conv(inner)))
        squeezed = F.silu(self._se_reduce(inner.mean((2, 3), keepdim=True)))
        inner = self._se_expand(squeezed).sigmoid() * inner
        projected: Tensor = self._bn2(self._project_conv(inner))
        if not self._adds:
            return projected
        added: Tensor = stochastic_depth(projected, drop, "row", self.training) + features
        return added


class SameConv2d(nn.Conv2d):
    """Convolution without bias with TensorFlow's padding for one fixed image size.

    With stride 2, images of odd size get the same padding on both sides and those of even size a
    pixel more below and to the right. The published networks were trained with the padding for
    the size of ImageNet's images, whatever the size of their own.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        side: int,
        stride: int = 1,
        groups: int = 1,
    ) -> None:
        total = max(0, (math.ceil(side / stride) - 1) * stride + kernel_size - side)
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding=total // 2,
            groups=groups,
            bias=False,
        )
        self._further = total % 2

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C_in, H, W) to (N, C_out, H/stride, W/stride)."""
        if self._further:
            features = F.pad(features, (0, self._further, 0, self._further))
        return super().forward(features)


def batch_norm(channels: int) -> nn.BatchNorm2d:
    """Return EfficientNet's BatchNorm (TensorFlow's momentum 0.99 is 0.01 here)."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)

"""TRACER's attention modules: over channels, over channels and places, and around an object."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from project.saliency.tracer.units import ConvUnit, Refinement

_CONFIDENCE = 0.1
"""γ: the share of channels that count as unreliable, and the dropout of channels in training."""
_DENOISE = 0.93
"""Object attention ignores places where the background's probability is above this."""


class ChannelAttention(nn.Module):
    r"""Weight channels by attention between channels.

    $$\alpha = \sigma(W\, softmax(q k^T) v)$$ of the pooled, normalised features; the result is
    $$x + \alpha x$$.

    Source: Lee, Shin & Han, "TRACER", AAAI 2022, union attention module, channel part [paper]; the
    dropout drops single channels, as its code did in the torch of its time [code].

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn = nn.BatchNorm2d(channels)
        self.norm = nn.Sequential(nn.BatchNorm2d(channels), nn.Dropout2d(_CONFIDENCE))
        self.channel_q = nn.Conv2d(channels, channels, 1, bias=False)
        self.channel_k = nn.Conv2d(channels, channels, 1, bias=False)
        self.channel_v = nn.Conv2d(channels, channels, 1, bias=False)
        self.fc = nn.Conv2d(channels, channels, 1, bias=False)

    def trace(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the weighted features (N, C, H, W) and α (N, C, 1, 1) in (0, 1)."""
        pooled = self.norm(features.mean((2, 3), keepdim=True))
        query, key, value = (
            project(pooled).flatten(2)  # (N, C, 1)
            for project in (self.channel_q, self.channel_k, self.channel_v)
        )
        related = (query @ key.mT).softmax(-1) @ value
        alpha = self.fc(related.unsqueeze(-1)).sigmoid()
        return features * alpha + features, alpha


class UnionAttention(ChannelAttention):
    r"""Channel attention, then attention between rows, on the reliable channels alone.

    Channels whose α is not above the γ-quantile of the image's α are 0. The rest, each times its
    α, gives q, k and v (N, H, W), and the result is $$softmax(q k^T) v + v$$.

    Source: as :class:`ChannelAttention`, spatial part [paper].

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.spatial_q = nn.Conv2d(channels, 1, 1, bias=False)
        self.spatial_k = nn.Conv2d(channels, 1, 1, bias=False)
        self.spatial_v = nn.Conv2d(channels, 1, 1, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, C, H, W) to a logit map (N, 1, H, W)."""
        weighted, alpha = self.trace(features)
        precise = alpha.to(torch.promote_types(alpha.dtype, torch.float32))  # quantile needs it
        threshold = precise.quantile(_CONFIDENCE, dim=1, keepdim=True)
        reliable = self.bn(weighted) * alpha.masked_fill(precise <= threshold, 0)
        query, key, value = (
            project(reliable) for project in (self.spatial_q, self.spatial_k, self.spatial_v)
        )
        logits: Tensor = (query @ key.mT).softmax(-1) @ value + value
        return logits


class ObjectAttention(Refinement):
    r"""Correct a map by the features of the object and of its doubtful surroundings.

    With $$o = \sigma(map)$$ and b = 1 − o, 0 where it exceeds 0.93, the features times (o + b) are
    refined to one channel ≥ 0, which is added to the map.

    Source: Lee, Shin & Han, "TRACER", AAAI 2022, object attention module [paper].

    Args:
        channels: C of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels // 2)
        self.conv1 = ConvUnit(channels // 2, 1)

    def forward(self, logits: Tensor, features: Tensor) -> Tensor:
        """Return a map (N, 1, H, W) of a map (N, 1, H, W) and features (N, C, H, W)."""
        inside = logits.sigmoid()
        around = 1 - inside
        around = around.masked_fill(around > _DENOISE, 0)
        refined = self.refine(inside * features + around * features)
        return torch.relu(self.conv1(refined)) + logits


_RADIUS = 16


class FrequencyEdge(Refinement):
    r"""Find edges in high-pass filtered features, and add them to the features.

    Source: Lee, Shin & Han, "TRACER", AAAI 2022, masked edge attention module [paper]; SELU and
    ReLU in a row make the edge logits ≥ 0, so that their sigmoid lies in [0.5, 1) [code].

    Args:
        channels: C of the features.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)
        self.UAM = ChannelAttention(channels)
        self.UAM.bn.requires_grad_(False)  # in the published files, but nothing goes through it
        self.conv = ConvUnit(channels, 1)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return the refined features (N, C, H, W) and the edge logits (N, 1, H, W), ≥ 0."""
        traced, _ = self.UAM.trace(high_pass(features, _RADIUS))
        edge = torch.relu(self.conv(self.refine(traced)))
        return features + edge, edge


def high_pass(features: Tensor, radius: float) -> Tensor:
    """Return the absolute value of features without their frequencies below a radius.

    Args:
        features: (N, C, H, W).
        radius: in cycles per image; frequencies nearer to 0 than that are removed.
    """
    precise = features.to(torch.promote_types(features.dtype, torch.float32))  # FFT needs it
    height, width = features.shape[2:]
    rows = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64, device=features.device)
    columns = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64, device=features.device)
    high = torch.hypot(rows[:, None], columns) >= radius
    left: Tensor = torch.fft.ifft2(torch.fft.fft2(precise) * high)
    return left.abs().to(features.dtype)

"""TRACER's masked edge attention: the first features, refined by their high frequencies."""

from __future__ import annotations

import torch
from torch import Tensor

from project.saliency.tracer.attention import ChannelAttention
from project.saliency.tracer.units import ConvUnit, Refinement

_RADIUS = 16


class FrequencyEdge(Refinement):
    r"""Find edges in what a high-pass filter leaves, and add them to the features.

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
    """Return the size of what is left without the frequencies below a radius.

    Args:
        features: (N, C, H, W).
        radius: in cycles per image; frequencies nearer to 0 than that are taken out.
    """
    precise = features.to(torch.promote_types(features.dtype, torch.float32))  # FFT needs it
    height, width = features.shape[2:]
    rows = torch.fft.fftfreq(height, 1 / height, dtype=torch.float64, device=features.device)
    columns = torch.fft.fftfreq(width, 1 / width, dtype=torch.float64, device=features.device)
    high = torch.hypot(rows[:, None], columns) >= radius
    left: Tensor = torch.fft.ifft2(torch.fft.fft2(precise) * high)
    return left.abs().to(features.dtype)

"""Learned perceptual metrics: distances between a network's features of two images.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device; 0 for identical images
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Literal, NamedTuple

import lpips
import torch
from torch import Tensor
from torchmetrics.functional.image.dists import DISTSNetwork
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

from project.metrics.perceptual_metric import PerceptualMetric

Net = Literal["squeeze", "alex", "vgg"]

BACKBONE_URLS: dict[Net, str] = {
    "squeeze": SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
    "alex": AlexNet_Weights.IMAGENET1K_V1.url,
    "vgg": VGG16_Weights.IMAGENET1K_V1.url,
}
"""Where the weights of each backbone are published."""

_TINY = 1e-6


class LPIPS(PerceptualMetric[list[Tensor]]):
    """Learned perceptual distance: weighted differences of a network's features; 0 is identical.

    Σ over layers of the mean over pixels of Σ w (ŷ − x̂)², features of a pixel scaled to length 1.
    The backbone is part of the metric and of its name: values of different backbones do not
    compare. Networks of the ``lpips`` package, version 0.1 of its linear weights; images scaled to
    [−1, 1].

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", CVPR 2018, eq. (1).

    Args:
        net: backbone: ``squeeze`` (SqueezeNet 1.1), ``alex`` or ``vgg`` (VGG-16). Its torchvision
            weights must be in place; :func:`project.metrics.perceptual_panel` sees to it.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.name = f"lpips_{net}"
        # The deepest features must keep at least one pixel.
        self.smallest = {"squeeze": 17, "alex": 31, "vgg": 16}[net]
        with warnings.catch_warnings():
            # The lpips package calls torchvision's older interface.
            warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
            warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
            self.network = lpips.LPIPS(net=net, verbose=False)
        self.network.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def prepare(self, clean: Tensor) -> list[Tensor]:
        """Return the network's features of clean grey levels, normalised to length 1 per pixel."""
        network = self.network.to(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            scaled = network.scaling_layer(channels_last(clean.float() / 127.5 - 1))
            return [lpips.normalize_tensor(features) for features in network.net(scaled)]

    def compare(self, side: list[Tensor], adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,), at least 0."""
        weights = [linear.model[-1].weight for linear in self.network.lins]
        return weighted_distance(side, self.prepare(adversarial), weights)


def weighted_distance(
    clean: list[Tensor], adversarial: list[Tensor], weights: Iterable[Tensor]
) -> Tensor:
    """Return Σ over layers of the mean over pixels of Σ w (ŷ − x̂)².

    Args:
        clean: a layer's features, (N, D, H, W), of length 1 at each pixel.
        adversarial: likewise.
        weights: a layer's w, of D values.

    Returns:
        (N,) float64.
    """
    distances = [
        ((own - other).square().mean((2, 3)) * weight.flatten()).sum(1)
        for other, own, weight in zip(clean, adversarial, weights, strict=True)
    ]
    return torch.stack(distances).sum(0).double()


class Texture(NamedTuple):
    """The centred features of one stage, with their means and variances over pixels."""

    centred: Tensor
    mean: Tensor
    variance: Tensor


class DISTS(PerceptualMetric[list[Texture]]):
    """Deep image structure and texture similarity: 1 − the mean similarity of VGG-16's features.

    Of each feature map the means (texture) and the covariances (structure) are compared, with
    learned weights; torchmetrics' network, which holds those weights. In float32, so identical
    images are a few 1e-7 from 0.

    Source: Ding, Ma, Wang, Simoncelli, "Image quality assessment: unifying structure and texture
    similarity", IEEE TPAMI 44(5), 2022, eqs. (3)–(6).

    VGG-16's torchvision weights must be in place; :func:`project.metrics.perceptual_panel` sees to
    it.
    """

    name = "dists"
    smallest = 16  # the deepest features must keep at least one pixel

    def __init__(self) -> None:
        self.network = DISTSNetwork()
        self.network.eval().requires_grad_(False)

    def prepare(self, clean: Tensor) -> list[Texture]:
        """Return the six stages of clean grey levels, the first of which is the image."""
        with torch.autocast(clean.device.type, enabled=False):
            stages = self.network.to(clean.device).forward_once(clean.float() / 255)
        return [_texture(features) for features in stages]

    def compare(self, side: list[Texture], adversarial: Tensor) -> Tensor:
        """Compare grey levels (N, 3, H, W); (N,) in [0, 1] but for rounding."""
        weights = torch.cat([self.network.alpha, self.network.beta]).flatten(1)
        weights = weights / weights.sum()
        similarities = torch.cat(
            [_similarity(*pair) for pair in zip(side, self.prepare(adversarial), strict=True)], 2
        )
        return 1 - (weights * similarities).sum((1, 2)).double()


def _texture(features: Tensor) -> Texture:
    mean = features.mean((2, 3))
    centred = features - mean[..., None, None]
    return Texture(centred, mean, centred.square().mean((2, 3)))


def _similarity(x: Texture, y: Texture) -> Tensor:
    """Return the texture and structure similarities of a stage's channels, (N, 2, D)."""
    texture = (2 * x.mean * y.mean + _TINY) / (x.mean**2 + y.mean**2 + _TINY)
    covariance = (x.centred * y.centred).mean((2, 3))
    structure = (2 * covariance + _TINY) / (x.variance + y.variance + _TINY)
    return torch.stack([texture, structure], 1)


def channels_last(images: Tensor) -> Tensor:
    """Return images in the memory layout that convolutions are fastest in."""
    return images.contiguous(memory_format=torch.channels_last)

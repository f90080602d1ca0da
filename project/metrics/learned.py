"""Distances between a network's features of two images.

Convention
    images   (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    values   (N,) float64, one per image, on the images' device; 0 for identical images
"""

from __future__ import annotations

import warnings
from typing import Literal

import lpips
import torch
from torch import Tensor
from torchmetrics.functional.image.dists import DISTSNetwork
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

from project.metrics.windows import checked_pair, eight_bit

Net = Literal["squeeze", "alex", "vgg"]

BACKBONE_URLS: dict[Net, str] = {
    "squeeze": SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
    "alex": AlexNet_Weights.IMAGENET1K_V1.url,
    "vgg": VGG16_Weights.IMAGENET1K_V1.url,
}
"""Where the weights of each backbone are published."""


class LPIPS:
    """Learned perceptual distance: weighted differences of a network's features; 0 is identical.

    The backbone is part of the metric and of its name: values of different backbones do not
    compare. The ``lpips`` package, version 0.1 of its linear weights; images scaled to [−1, 1].

    Source: Zhang, Isola, Efros, Shechtman, Wang, "The unreasonable effectiveness of deep features
    as a perceptual metric", CVPR 2018, eq. (1).

    Args:
        net: backbone: ``squeeze`` (SqueezeNet 1.1), ``alex`` or ``vgg`` (VGG-16). Its torchvision
            weights must be in place; :func:`project.metrics.perceptual_panel` sees to it.
    """

    def __init__(self, net: Net) -> None:
        self.net = net
        self.name = f"lpips_{net}"
        self.smallest = {"squeeze": 17, "alex": 31, "vgg": 16}[net]  # leaves the deepest a pixel
        with warnings.catch_warnings():
            # The lpips package calls torchvision's older interface.
            warnings.filterwarnings("ignore", "The parameter 'pretrained'", UserWarning)
            warnings.filterwarnings("ignore", "Arguments other than a weight enum", UserWarning)
            self.network = lpips.LPIPS(net=net, verbose=False)
        self.network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,), at least 0."""
        checked_pair(clean, adversarial, self.smallest, "LPIPS")
        self.network.to(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            distance: Tensor = self.network(
                eight_bit(clean).float() / 127.5 - 1, eight_bit(adversarial).float() / 127.5 - 1
            )
        return distance.reshape(len(clean)).double()


class DISTS:
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
    smallest = 16  # leaves the deepest features a pixel

    def __init__(self) -> None:
        self.network = DISTSNetwork()
        self.network.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor) -> Tensor:
        """Compare images (N, 3, H, W) in [0, 1]; (N,) in [0, 1] but for rounding."""
        checked_pair(clean, adversarial, self.smallest, "DISTS")
        self.network.to(clean.device)
        with torch.autocast(clean.device.type, enabled=False):
            distance: Tensor = self.network(
                eight_bit(clean).float() / 255, eight_bit(adversarial).float() / 255
            )
        return distance.reshape(len(clean)).double()

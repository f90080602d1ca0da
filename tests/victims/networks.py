"""Networks for tests whose BatchNorm layers have something to normalise."""

from typing import TypeVar

import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from project.victims import SegmentationVictim

Network = TypeVar("Network", bound=nn.Module)


def settled(network: Network, seed: int = 0) -> Network:
    """Give a network's norms statistics as after a training; it is in eval mode then."""
    generator = torch.Generator().manual_seed(seed)
    for part in network.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            if part.running_mean is not None and part.running_var is not None:
                part.running_mean.normal_(0, 0.5, generator=generator)
                part.running_var.uniform_(0.5, 2, generator=generator)
            if part.affine:
                nn.init.uniform_(part.weight, 0.5, 1.5, generator=generator)
                nn.init.normal_(part.bias, 0, 0.3, generator=generator)
    return network.eval()


def small_segmenter(seed: int = 0) -> SegmentationVictim:
    """Return a segmenter of 4 classes with two residual blocks."""
    torch.manual_seed(seed)
    blocks = [BasicBlock(8, 8), BasicBlock(8, 8)]
    stem = [nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU(inplace=True)]
    return settled(SegmentationVictim(nn.Sequential(*stem, *blocks, nn.Conv2d(8, 4, 1)), 4), seed)

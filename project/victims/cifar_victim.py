"""The residual networks that are trained on CIFAR: small stems for images of 32×32."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from torch import Tensor, nn

from project.core.choices import choose
from project.victims.networks import finish
from project.victims.victim import Channels, ClassificationVictim

CIFAR_MEAN: Channels = (0.4914, 0.4822, 0.4465)
CIFAR_STD: Channels = (0.2471, 0.2435, 0.2616)

CIFARArchitecture = Literal["resnet18", "preact_resnet18", "wrn_28_10", "wrn_34_10"]


class CIFARVictim(ClassificationVictim):
    """A residual network for 32×32 as robust training has them, with CIFAR-10's mean and std.

    timm and torchvision have ImageNet's only, whose stem of 7×7, stride 2 and a max-pool leaves 8×8
    of 32×32. Here the stem is one convolution of 3×3, stride 1; the last stage is pooled as a
    whole, so that other sizes work too.

    ``resnet18`` has 11.2 million weights, ``preact_resnet18`` too; ``wrn_28_10`` 36.5 and
    ``wrn_34_10`` 46.2 million. Where a block changes size, the shortcut of the last three is a
    convolution of the activated features. Published weights of such networks have other names:
    load them by :class:`~project.victims.RobustBenchVictim`, or by
    :class:`~project.victims.ImportedClassifier` with their own code.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016, and "Identity
    Mappings in Deep Residual Networks", ECCV 2016; Zagoruyko & Komodakis, "Wide Residual Networks",
    BMVC 2016, table 1, without dropout [paper]; widths 64 to 512 at 32×32 [code]. Convolutions
    start from He's normal distribution over outputs.

    Args:
        architecture: ``resnet18``, ``preact_resnet18``, ``wrn_28_10`` or ``wrn_34_10``.
        num_classes: K.
        checkpoint: local weight file; see :func:`project.victims.load_weights`.
        mean: per channel in [0, 1] units, subtracted before the network.
        std: likewise, divided by; (0, 0, 0) and (1, 1, 1) are the networks that normalise nothing.
        input_size: side of the square that images are resized to inside; None keeps their size.

    Raises:
        InputError: if there is no such architecture.
        WeightsError: if the weights cannot be read or fitted.
    """

    def __init__(
        self,
        architecture: CIFARArchitecture = "resnet18",
        num_classes: int = 10,
        *,
        checkpoint: str | Path | None = None,
        mean: Channels = CIFAR_MEAN,
        std: Channels = CIFAR_STD,
        input_size: int | None = None,
    ) -> None:
        choose("architecture", get_args(CIFARArchitecture), architecture)
        network = _NETWORKS[architecture](num_classes)
        for part in network.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
        finish(network, [], checkpoint)
        super().__init__(network, num_classes, mean=mean, std=std, input_size=input_size)
        self.architecture = architecture
        self.checkpoint = checkpoint


class _Block(nn.Module):
    """Two convolutions, each normalised and, but for the last, activated; then the sum."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = _convolution(before, after, 3, stride)
        self.norm1 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 3)
        self.norm2 = nn.BatchNorm2d(after)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or before != after:
            projection = _convolution(before, after, 1, stride)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(after))

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, ``after``, H / stride, W / stride)."""
        residual = self.relu(self.norm1(self.conv1(features)))
        total: Tensor = self.relu(self.norm2(self.conv2(residual)) + self.shortcut(features))
        return total


class _PreActivatedBlock(nn.Module):
    """Two convolutions of normalised and activated features; nothing comes after the sum."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(before)
        self.conv1 = _convolution(before, after, 3, stride)
        self.norm2 = nn.BatchNorm2d(after)
        self.conv2 = _convolution(after, after, 3)
        self.relu = nn.ReLU()  # not in place: the features themselves go on beside it
        self.shortcut: nn.Module | None = None
        if stride != 1 or before != after:
            self.shortcut = _convolution(before, after, 1, stride)

    def forward(self, features: Tensor) -> Tensor:
        """Return features (N, ``after``, H / stride, W / stride)."""
        activated = self.relu(self.norm1(features))
        kept = features if self.shortcut is None else self.shortcut(activated)
        residual: Tensor = self.conv2(self.relu(self.norm2(self.conv1(activated))))
        return kept + residual


def _resnet(num_classes: int) -> nn.Module:
    """Return ResNet-18: the stem is normalised and activated."""
    widths = (64, 128, 256, 512)
    return _chain(
        conv=_convolution(3, 64, 3),
        norm=nn.BatchNorm2d(64),
        relu=nn.ReLU(inplace=True),
        stages=_stages(_Block, 64, widths, 2),
        **_head(512, num_classes),
    )


def _pre_activated(stem: int, widths: Sequence[int], depth: int, num_classes: int) -> nn.Module:
    """Return a network whose last features are normalised and activated, not those of its stem."""
    return _chain(
        conv=_convolution(3, stem, 3),
        stages=_stages(_PreActivatedBlock, stem, widths, depth),
        norm=nn.BatchNorm2d(widths[-1]),
        relu=nn.ReLU(inplace=True),
        **_head(widths[-1], num_classes),
    )


def _wide(layers: int, factor: int, num_classes: int) -> nn.Module:
    """Return WRN-layers-factor: layers = 6 · depth + 4, in three stages."""
    widths = [factor * width for width in (16, 32, 64)]
    return _pre_activated(16, widths, (layers - 4) // 6, num_classes)


_NETWORKS: Mapping[str, Callable[[int], nn.Module]] = {
    "resnet18": _resnet,
    "preact_resnet18": lambda classes: _pre_activated(64, (64, 128, 256, 512), 2, classes),
    "wrn_28_10": lambda classes: _wide(28, 10, classes),
    "wrn_34_10": lambda classes: _wide(34, 10, classes),
}


def _stages(
    block: type[_Block] | type[_PreActivatedBlock], before: int, widths: Sequence[int], depth: int
) -> nn.Sequential:
    """Return stages of ``depth`` blocks; all but the first stage begin by halving the size."""
    stages = []
    for number, width in enumerate(widths):
        first = block(before, width, 1 if number == 0 else 2)
        stages.append(nn.Sequential(first, *(block(width, width, 1) for _ in range(depth - 1))))
        before = width
    return nn.Sequential(*stages)


def _head(width: int, num_classes: int) -> dict[str, nn.Module]:
    linear = nn.Linear(width, num_classes)
    return {"pool": nn.AdaptiveAvgPool2d(1), "flatten": nn.Flatten(), "linear": linear}


def _chain(**parts: nn.Module) -> nn.Sequential:
    return nn.Sequential(OrderedDict(parts))


def _convolution(before: int, after: int, size: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(before, after, size, stride, size // 2, bias=False)

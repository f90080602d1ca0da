"""TRACER's network, from normalised images to logits.

Convention
    images   (N, 3, H, W), normalised with ImageNet's mean and std; H and W multiples of 32
    logits   (N, 1, H, W), at the size of the images
    names    of parameters are those of the published files, which load unchanged
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import timm
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.choices import choose
from project.core.errors import InputError
from project.saliency.tracer.attention import ObjectAttention
from project.saliency.tracer.decoder import Aggregation, ReceptiveField
from project.saliency.tracer.encoder import SCALES, Encoder, TracerVariant, from_timm
from project.victims.networks import build, timm_names

__all__ = ["STRIDE", "TracerNetwork", "TracerOutput", "TracerVariant"]

STRIDE = 32
"""Height and width of the images must be multiples of this number."""
_LEVELS = (32, 64, 128)


class TracerOutput(NamedTuple):
    """The network's output: logits, all (N, 1, H, W) at the size of the images.

    Attributes:
        saliency: the mean of the side outputs; its sigmoid is the saliency map.
        sides: the decoder's side outputs, from the aggregation, the coarse and the fine object
            attention.
        edge: output of the edge module; at least 0, so that its sigmoid lies in [0.5, 1).
    """

    saliency: Tensor
    sides: tuple[Tensor, Tensor, Tensor]
    edge: Tensor


class TracerNetwork(nn.Module):
    """Extreme attention guided salient object tracing network.

    Source: Lee, Shin & Han, "TRACER: Extreme Attention Guided Salient Object Tracing Network",
    AAAI 2022 [paper], https://github.com/Karel911/TRACER [code]. There the encoder starts from
    AdvProp's weights, made for another normalisation than the one that its images get; here
    ``pretrained`` takes noisy student's, made for that very normalisation [ours].

    Training takes at least 2 images at a time: BatchNorm also sees features pooled to one pixel.

    Args:
        variant: the EfficientNet of the encoder.
        pretrained: start the encoder from ImageNet weights (needs the internet once).

    Raises:
        WeightsError: if the ImageNet weights cannot be fetched.
    """

    def __init__(self, variant: TracerVariant = "b0", pretrained: bool = False) -> None:
        choose("variant", SCALES, variant)
        super().__init__()
        self.variant = variant
        self.pretrained = pretrained
        self.model = Encoder(variant)
        channels = self.model.channels
        self.rfb2 = ReceptiveField(channels[1], _LEVELS[0])
        self.rfb3 = ReceptiveField(channels[2], _LEVELS[1])
        self.rfb4 = ReceptiveField(channels[3], _LEVELS[2])
        self.agg = Aggregation(_LEVELS)
        self.ObjectAttention2 = ObjectAttention(channels[1])
        self.ObjectAttention1 = ObjectAttention(channels[0])
        if pretrained:
            self._start_from_imagenet()

    def forward(self, images: Tensor) -> TracerOutput:
        """Return the saliency and edge logits of normalised images (N, 3, H, W)."""
        _require_multiples(images)
        levels, edge = self.model(images)
        first = self.agg(self.rfb2(levels[1]), self.rfb3(levels[2]), self.rfb4(levels[3]))
        second = self.ObjectAttention2(first, levels[1])
        third = self.ObjectAttention1(_enlarged(second, 2), levels[0])
        sides = (_enlarged(first, 8), _enlarged(second, 8), _enlarged(third, 4))
        return TracerOutput((sides[0] + sides[1] + sides[2]) / 3, sides, _enlarged(edge, 4))

    def load_published(self, weights: Mapping[str, Tensor]) -> None:
        """Load a published ``TRACER-Efficient-*.pth``, with or without its ``module.`` prefix.

        Raises:
            RuntimeError: if names or shapes are not those of the variant.
        """
        self.load_state_dict({name.removeprefix("module."): w for name, w in weights.items()})

    def _start_from_imagenet(self) -> None:
        name = f"tf_efficientnet_{self.variant}.ns_jft_in1k"
        donor: Any = build(
            lambda: timm.create_model(name, pretrained=True), name, downloads=True, names=timm_names
        )
        weights = self.model.state_dict()
        self.model.load_state_dict({**weights, **from_timm(donor.state_dict())})


def _enlarged(maps: Tensor, factor: int) -> Tensor:
    return F.interpolate(maps, scale_factor=factor, mode="bilinear")


def _require_multiples(images: Tensor) -> None:
    height, width = images.shape[2:]
    if height % STRIDE or width % STRIDE or not height or not width:
        raise InputError(
            f"TRACER needs images whose height and width are multiples of {STRIDE}, got "
            f"{height}×{width}. Resize them first, to 320×320 for example."
        )

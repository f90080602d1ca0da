"""Segmenters of segmentation_models_pytorch (smp) as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import timm

from project.core.choices import choose
from project.core.errors import InputError
from project.victims.networks import build, finish, require_one_origin, timm_names
from project.victims.segmentation import SegmentationVictim
from project.victims.victim import IMAGENET_MEAN, IMAGENET_STD, Channels
from project.victims.weights import load_encoder_weights

# Encoders of smp whose published weights want another normalisation than ImageNet's mean and std.
_OTHER_NORMALISATION = ("dpn", "inception", "xception")


class SmpVictim(SegmentationVictim):
    """A segmenter of smp that carries its own normalisation and takes every image size.

    Mean and std come from the encoder: timm's ``pretrained_cfg`` for ``tu-`` encoders, smp's
    preprocessing parameters where its weights are fetched, ImageNet's otherwise.

    Args:
        architecture: smp's class name, for example ``Unet``, ``FPN``, ``PSPNet``, ``DeepLabV3``.
        encoder: smp's encoder name; ``tu-NAME`` is a network of timm.
        num_classes: K, without a void class.
        checkpoint: local weight file of the whole segmenter; see
            :func:`project.victims.load_weights`.
        pretrained: fetch the encoder's published ImageNet weights (needs the internet once).
        encoder_checkpoint: local weight file of a classifier or of another segmenter to start the
            encoder from; not read where ``checkpoint`` is given.
        divisor: heights and widths are padded to multiples of it; None is what smp requires.
        model_args: further arguments of the architecture (those it does not know go to a ``tu-``
            encoder).
        mean: per channel in [0, 1] units, for weights trained with another normalisation.
        std: likewise.
        input_size: side of the square that images are stretched to inside; None keeps their size.
        identity: dotted names of submodules to replace by ``nn.Identity``.

    Raises:
        ValueError: if the architecture is unknown or the weights come from two places.
        WeightsError: if the weights cannot be fetched, read or fitted.
    """

    def __init__(
        self,
        architecture: str,
        encoder: str,
        num_classes: int,
        *,
        checkpoint: str | Path | None = None,
        pretrained: bool = False,
        encoder_checkpoint: str | Path | None = None,
        divisor: int | None = None,
        model_args: dict[str, Any] | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | None = None,
        identity: list[str] | None = None,
    ) -> None:
        require_one_origin(pretrained, checkpoint or encoder_checkpoint)
        make = architecture_of(architecture)
        network: Any = build(
            lambda: make(
                encoder_name=encoder,
                encoder_weights=_published(encoder, pretrained),
                classes=num_classes,
                **(model_args or {}),
            ),
            encoder,
            downloads=pretrained,
            names=_encoders,
        )
        finish(network, identity or [], checkpoint)
        if encoder_checkpoint is not None and checkpoint is None:
            load_encoder_weights(network.encoder, encoder_checkpoint)
        usual_mean, usual_std = normalisation_of(encoder, pretrained, given=bool(mean and std))
        super().__init__(
            network,
            num_classes,
            mean=mean or usual_mean,
            std=std or usual_std,
            input_size=input_size,
            divisor=divisor or stride_of(network),
        )
        network.requires_divisible_input_shape = False  # the victim pads to multiples itself
        self.architecture = architecture
        self.encoder = encoder
        self.checkpoint = checkpoint
        self.pretrained = pretrained
        self.encoder_checkpoint = encoder_checkpoint
        self.model_args = model_args
        self.identity = identity


def architecture_of(name: str) -> Any:
    """Return a class of smp by its name."""
    known = {
        kind.__name__: kind
        for kind in vars(smp).values()
        if isinstance(kind, type) and issubclass(kind, smp.base.SegmentationModel)
    }
    return choose("architecture", dict(sorted(known.items())), name)


def _encoders() -> list[str]:
    return [*smp.encoders.get_encoder_names(), *(f"tu-{name}" for name in timm_names())]


def _published(encoder: str, pretrained: bool) -> str | bool | None:
    if not pretrained:
        return None
    return True if encoder.startswith("tu-") else "imagenet"


def stride_of(network: Any) -> int:
    """Return what heights and widths must be multiples of."""
    return int(network.encoder.output_stride) if network.requires_divisible_input_shape else 1


def normalisation_of(encoder: str, pretrained: bool, given: bool) -> tuple[Channels, Channels]:
    """Return mean and std of an encoder; where both are given, they do not count."""
    if given:
        return IMAGENET_MEAN, IMAGENET_STD
    if encoder.startswith("tu-"):
        config: Any = timm.get_pretrained_cfg(encoder.removeprefix("tu-"))
        return tuple(config.mean), tuple(config.std)
    if pretrained:
        parameters = smp.encoders.get_preprocessing_params(encoder)
        return tuple(parameters["mean"]), tuple(parameters["std"])
    if any(family in encoder for family in _OTHER_NORMALISATION):
        raise InputError(
            f"mean and std must be given for encoder {encoder!r} without pretrained weights: "
            "its family does not use ImageNet's. Take those that its weights were trained with."
        )
    return IMAGENET_MEAN, IMAGENET_STD

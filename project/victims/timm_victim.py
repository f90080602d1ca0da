"""Classifiers of timm as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import timm

from project.victims.networks import build, finish, require_one_origin, timm_names
from project.victims.victim import Channels, ClassificationVictim, Interpolation


class TimmVictim(ClassificationVictim):
    """A classifier of timm that carries its own normalisation.

    Mean, std, input size and interpolation come from the model's ``pretrained_cfg``.

    Args:
        architecture: timm's name, with or without tag, for example ``resnet50.a1_in1k``.
        num_classes: number of logits; None keeps the architecture's own.
        pretrained: fetch the published weights (needs the internet once).
        checkpoint: local weight file instead; see :func:`project.victims.load_weights`.
        mean: per channel in [0, 1] units, for weights trained with another normalisation than
            timm's config says.
        std: likewise.
        input_size: side of the square that images are resized to inside; ``auto`` takes the
            pretrained config's, None keeps the images' size.
        model_args: further arguments of ``timm.create_model``.
        identity: dotted names of submodules to replace by ``nn.Identity``, for published weights
            whose architecture differs there.

    Raises:
        WeightsError: if the weights cannot be fetched, read or fitted.
    """

    def __init__(
        self,
        architecture: str,
        *,
        num_classes: int | None = None,
        pretrained: bool = False,
        checkpoint: str | Path | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | Literal["auto"] | None = None,
        model_args: dict[str, Any] | None = None,
        identity: list[str] | None = None,
    ) -> None:
        require_one_origin(pretrained, checkpoint)
        arguments = dict(model_args or {})
        if num_classes is not None:
            arguments["num_classes"] = num_classes
        network: Any = build(
            lambda: timm.create_model(architecture, pretrained=pretrained, **arguments),
            architecture,
            downloads=pretrained,
            names=timm_names,
        )
        finish(network, identity or [], checkpoint)
        config = network.pretrained_cfg
        side = config["input_size"][-1] if input_size == "auto" else input_size
        super().__init__(
            network,
            network.num_classes,
            mean=mean or tuple(config["mean"]),
            std=std or tuple(config["std"]),
            input_size=side,
            interpolation=_interpolation(config["interpolation"]),
        )
        self.architecture = architecture
        self.pretrained = pretrained
        self.checkpoint = checkpoint
        self.model_args = model_args
        self.identity = identity


def _interpolation(name: str) -> Interpolation:
    """Return timm's interpolation as one of the two that are antialiased and differentiable."""
    return "bilinear" if name == "bilinear" else "bicubic"

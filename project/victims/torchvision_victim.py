"""Classifiers of torchvision as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torchvision

from project.core.errors import InputError
from project.victims.networks import build, finish, require_one_origin
from project.victims.victim import Channels, ClassificationVictim


class TorchvisionVictim(ClassificationVictim):
    """A classifier of torchvision that carries its own normalisation.

    Mean, std and input size come from the transforms of the architecture's published weights.

    Args:
        architecture: torchvision's name, for example ``mobilenet_v2``.
        num_classes: number of logits; None is the published weights' 1000.
        weights: name of published weights to fetch, for example ``IMAGENET1K_V1`` or ``DEFAULT``
            (looked for under ``TORCH_HOME`` first).
        checkpoint: local weight file instead; see :func:`project.victims.load_weights`.
        mean: per channel in [0, 1] units, for weights trained with another normalisation.
        std: likewise.
        input_size: side of the square that images are resized to inside; ``auto`` takes the
            published weights' crop, None keeps the images' size.
        model_args: further arguments of the architecture. Published files of ``googlenet`` and
            ``inception_v3`` that are given as checkpoint need ``{transform_input: true}``.

    Raises:
        InputError: if the architecture is no classifier of images, or a quantised one.
        WeightsError: if the weights cannot be fetched, read or fitted.
    """

    def __init__(
        self,
        architecture: str,
        *,
        num_classes: int | None = None,
        weights: str | None = None,
        checkpoint: str | Path | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | Literal["auto"] | None = None,
        model_args: dict[str, Any] | None = None,
    ) -> None:
        require_one_origin(weights is not None, checkpoint)
        _require_classifier(architecture)
        arguments = {**(model_args or {}), "num_classes": num_classes or 1000}
        network = build(
            lambda: torchvision.models.get_model(architecture, weights=weights, **arguments),
            architecture,
            downloads=weights is not None,
            names=torchvision.models.list_models,
        )
        finish(network, [], checkpoint)
        published = torchvision.models.get_model_weights(architecture)
        transform = published[weights or "DEFAULT"].transforms()
        super().__init__(
            network,
            num_classes or 1000,
            mean=mean or tuple(transform.mean),
            std=std or tuple(transform.std),
            input_size=transform.crop_size[0] if input_size == "auto" else input_size,
            interpolation="bicubic" if transform.interpolation.value == "bicubic" else "bilinear",
        )
        self.architecture = architecture
        self.weights = weights
        self.checkpoint = checkpoint
        self.model_args = model_args


def _require_classifier(architecture: str) -> None:
    """Refuse what torchvision has of other kinds; a name that it has not, building refuses."""
    models = torchvision.models
    kinds = {
        "quantised, so that no gradient reaches the images": models.quantization,
        "a detector of objects": models.detection,
        "for videos": models.video,
        "for optical flow": models.optical_flow,
        "a segmenter, which TorchvisionSegmenter takes": models.segmentation,
    }
    for told, module in kinds.items():
        if architecture in models.list_models(module=module):
            raise InputError(
                f"architecture must be a classifier of images, got {architecture!r}, which is "
                f"{told}. Take one such as {models.list_models(module=models)[0]!r}."
            )

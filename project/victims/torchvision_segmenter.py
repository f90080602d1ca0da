"""Segmenters of torchvision as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torchvision
from torch import Tensor

from project.core.choices import choose
from project.victims.networks import build, finish, require_one_origin
from project.victims.segmentation import SegmentationVictim
from project.victims.victim import Channels
from project.victims.weights import read_weights, resolve

_AUXILIARY = "aux_classifier"


class TorchvisionSegmenter(SegmentationVictim):
    """A segmenter of torchvision (DeepLabV3, FCN, LRASPP) that carries its own normalisation.

    Mean and std come from the transforms of the architecture's published weights. The auxiliary
    head, which only training uses, is loaded where the weights have one, and then dropped.

    Args:
        architecture: torchvision's name, for example ``deeplabv3_resnet50``, ``fcn_resnet101`` or
            ``lraspp_mobilenet_v3_large``.
        num_classes: K; None is the published weights' 21, those of VOC.
        weights: name of published weights to fetch, for example ``COCO_WITH_VOC_LABELS_V1`` or
            ``DEFAULT`` (looked for under ``TORCH_HOME`` first).
        checkpoint: local weight file instead; see :func:`project.victims.load_weights`.
        mean: per channel in [0, 1] units, for weights trained with another normalisation.
        std: likewise.
        input_size: side of the square that images are stretched to inside; None keeps their size.
            (The published weights were judged with the shorter side at 520.)

    Raises:
        ValueError: if the architecture is no segmenter, or the weights come from two places.
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
        input_size: int | None = None,
    ) -> None:
        require_one_origin(weights is not None, checkpoint)
        published = _published(architecture)
        classes = num_classes or len(published.DEFAULT.meta["categories"])
        auxiliary = {"aux_loss": True} if _has_auxiliary_head(checkpoint) else {}
        network: Any = build(
            lambda: torchvision.models.get_model(
                architecture,
                weights=weights,
                weights_backbone=None,
                num_classes=classes,
                **auxiliary,
            ),
            architecture,
            downloads=weights is not None,
            names=torchvision.models.list_models,
        )
        finish(network, [], checkpoint)
        if hasattr(network, _AUXILIARY):
            network.aux_classifier = None
        transform = published[weights or "DEFAULT"].transforms()
        super().__init__(
            network,
            classes,
            mean=mean or tuple(transform.mean),
            std=std or tuple(transform.std),
            input_size=input_size,
        )
        self.architecture = architecture
        self.weights = weights
        self.checkpoint = checkpoint

    def answer(self, inputs: Tensor) -> Tensor:
        """Return the logits of the main head, at the size of the inputs."""
        logits: Tensor = self.network(inputs)["out"]
        return logits


def _published(architecture: str) -> Any:
    known = torchvision.models.list_models(module=torchvision.models.segmentation)
    return torchvision.models.get_model_weights(choose("architecture", known, architecture))


def _has_auxiliary_head(checkpoint: str | Path | None) -> bool:
    if checkpoint is None:
        return False
    return any(_AUXILIARY in key.split(".") for key in read_weights(resolve(checkpoint)))

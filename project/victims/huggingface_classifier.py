"""Image classifiers of Hugging Face transformers as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from torch import Tensor

from project.victims.huggingface import read_checkpoint
from project.victims.victim import Channels, ClassificationVictim


class HuggingFaceClassifier(ClassificationVictim):
    """An image classifier of transformers: ViT, DeiT, Swin, BEiT, DINOv2, ConvNeXt and others.

    Mean, std, size and interpolation come from the checkpoint's own preprocessor config, names of
    classes from its config (``labels``). Cropping is the data's affair (``frame``).

    Args:
        checkpoint: a folder as saved by ``save_pretrained`` of the network and of its processor,
            or a name of the hub such as ``google/vit-base-patch16-224`` (fetched once). No code
            that it may hold is run.
        revision: branch, tag or commit of the hub; None is its newest.
        num_classes: K that is expected; None takes the checkpoint's.
        mean: per channel in [0, 1] units, that is expected; None takes the processor's.
        std: likewise.
        input_size: side of the square that images are resized to inside; ``auto`` is the side of
            the processor's crop, or of its size without one; None keeps the images' size.

    Raises:
        InputError: if transformers is not installed, or classes or normalisation contradict.
        WeightsError: if the checkpoint cannot be fetched or read, or lacks weights.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        *,
        revision: str | None = None,
        num_classes: int | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | Literal["auto"] | None = "auto",
    ) -> None:
        read = read_checkpoint(
            "HuggingFaceClassifier",
            checkpoint,
            revision,
            ("AutoModelForImageClassification",),
            num_classes,
            mean,
            std,
        )
        super().__init__(
            read.network,
            len(read.labels),
            mean=read.mean,
            std=read.std,
            input_size=read.side if input_size == "auto" else input_size,
            interpolation=read.interpolation,
        )
        self.checkpoint = checkpoint
        self.revision = revision
        self.labels = read.labels

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K) of images (N, 3, H, W) in [0, 1]."""
        inputs = self.normalise(self.resize(images))
        return self.network(pixel_values=inputs).logits  # type: ignore[no-any-return]

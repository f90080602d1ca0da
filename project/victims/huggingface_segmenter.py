"""Semantic segmenters of Hugging Face transformers as victims."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.errors import InputError
from project.victims.huggingface import read_checkpoint
from project.victims.segmentation import SegmentationVictim
from project.victims.victim import Channels

_OF_MASKS = ("mask2former", "maskformer")
_SMALLEST_SCORE = 1e-30  # float32 holds its logarithm's gradient


class HuggingFaceSegmenter(SegmentationVictim):
    r"""A segmenter of transformers: SegFormer, UPerNet, DPT, BEiT, Mask2Former, MaskFormer, others.

    Mean, std, size and interpolation come from the checkpoint's own preprocessor config, names of
    classes from its config (``labels``). Logits are resized bilinearly to the image's own size
    (``align_corners=False``), as the library's post-processing does.

    MaskFormer and Mask2Former answer with Q masks, each with a class. A pixel's score of class c is
    $s_c = \sum_q p_q(c)\,\sigma(m_q)$ without the class "no object", which so never wins, and its
    logits are $\log s_c$: their order is that of the scores, their softmax the scores' shares.
    Mask2Former's masks are resized to the network's input before the sigmoid; MaskFormer's scores
    are resized.

    Source: Cheng et al., "Per-Pixel Classification is Not All You Need for Semantic Segmentation",
    NeurIPS 2021, section 3.4 (semantic inference); "Masked-attention Mask Transformer for Universal
    Image Segmentation", CVPR 2022 [paper]; where is resized [code]; the logarithm [ours].

    Args:
        checkpoint: a folder as saved by ``save_pretrained`` of the network and of its processor,
            or a name of the hub such as ``nvidia/segformer-b0-finetuned-ade-512-512`` (fetched
            once). No code that it may hold is run.
        revision: branch, tag or commit of the hub; None is its newest.
        num_classes: K that is expected, without void; None takes the checkpoint's.
        mean: per channel in [0, 1] units, that is expected; None takes the processor's.
        std: likewise.
        input_size: side of the square that images are stretched to inside; ``auto`` is the
            processor's where it stretches to a square, else the images keep their size.
        divisor: heights and widths are padded to multiples of it; None is what the processor says.

    Raises:
        InputError: if transformers is not installed, the kind is another, or classes or
            normalisation contradict.
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
        divisor: int | None = None,
    ) -> None:
        read = read_checkpoint(
            "HuggingFaceSegmenter",
            checkpoint,
            revision,
            ("AutoModelForSemanticSegmentation", "AutoModelForUniversalSegmentation"),
            num_classes,
            mean,
            std,
        )
        by_masks = read.kind in _OF_MASKS
        if not (by_masks or _answers_by_pixel(read.network)):
            raise InputError(
                "HuggingFaceSegmenter takes segmenters by pixels, mask2former and maskformer, but "
                f"{str(checkpoint)!r} is of the kind {read.kind!r}. Take another checkpoint."
            )
        super().__init__(
            read.network,
            len(read.labels),
            mean=read.mean,
            std=read.std,
            input_size=read.side if input_size == "auto" else input_size,
            interpolation=read.interpolation,
            divisor=divisor or read.multiple,
        )
        self.checkpoint = checkpoint
        self.revision = revision
        self.labels = read.labels
        self.kind = read.kind

    def forward(self, images: Tensor) -> Tensor:
        """Return the logits (N, K, H, W) of images (N, 3, H, W) in [0, 1]."""
        inputs = self.normalise(self.resize(images))
        height, width = inputs.shape[-2:]
        padded = F.pad(inputs, (0, -width % self.divisor, 0, -height % self.divisor))
        scores = self.answer(padded)
        if padded.shape != inputs.shape:
            scores = _resized(scores, padded)[..., :height, :width]
        scores = _resized(scores, images)
        return scores.clamp_min(_SMALLEST_SCORE).log() if self.kind in _OF_MASKS else scores

    def answer(self, inputs: Tensor) -> Tensor:
        """Return logits, or scores of masks (N, K, h, w), of normalised, padded images."""
        output: Any = self.network(pixel_values=inputs)
        if self.kind not in _OF_MASKS:
            return output.logits  # type: ignore[no-any-return]
        masks = output.masks_queries_logits
        if self.kind == "mask2former":
            masks = _resized(masks, inputs)
        classes = output.class_queries_logits.softmax(-1)[..., :-1]  # the last is "no object"
        return torch.einsum("nqk,nqhw->nkhw", classes, masks.sigmoid())


def _answers_by_pixel(network: Any) -> bool:
    return "ForSemanticSegmentation" in type(network).__name__


def _resized(maps: Tensor, like: Tensor) -> Tensor:
    if maps.shape[-2:] == like.shape[-2:]:
        return maps
    return F.interpolate(maps, like.shape[-2:], mode="bilinear", align_corners=False)

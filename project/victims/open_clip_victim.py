"""Zero-shot classifiers of open_clip as victims: names of classes in place of a head."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from project.core.choices import choose
from project.core.errors import InputError, first_line, let_memory_errors_pass
from project.core.packages import imported
from project.victims.hub import checkpoint_folder, require_normalisation
from project.victims.victim import Channels, ClassificationVictim, Interpolation
from project.victims.weights import WeightsError

_REMEDY = "pip install 'mirage-attacks[clip]'"
_CONFIG = "open_clip_config.json"
_TOKENIZER = ("*.json", "*.txt", "*.model")
_WEIGHTS = ("open_clip_model.safetensors", "open_clip_pytorch_model.bin")
_BATCH = 256  # texts at a time


class OpenClipVictim(ClassificationVictim):
    r"""A CLIP-like network as a classifier: an image's logits are its likeness to names of classes.

    $z_k = e^\tau \cos(f(x), w_k) + b$ with the image's feature f, the network's own temperature and
    bias, and $w_k$ the normalised mean of the normalised features of all templates with the name of
    class k. The text side is computed once, and is no part of the victim afterwards.

    Source: Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
    ICML 2021, sections 3.1.2 and 3.1.4 [paper].

    Args:
        checkpoint: a folder with ``open_clip_config.json`` and ``open_clip_model.safetensors``, as
            open_clip saves for the hub, or a name of the hub such as
            ``laion/CLIP-ViT-B-32-laion2B-s34B-b79K`` (fetched once).
        classes: their names in the order of the data's ids; ``imagenet`` is open_clip's list.
        templates: each with one ``{}`` for the name; ``openai`` are CLIP's 80 for ImageNet,
            ``simple`` its best seven.
        revision: branch, tag or commit of the hub; None is its newest.
        mean: per channel in [0, 1] units, that is expected; None takes the checkpoint's.
        std: likewise.
        input_size: side of the square that images are resized to inside; ``auto`` is the
            checkpoint's; None keeps the images' size.

    Raises:
        InputError: if open_clip is not installed, or names, templates or normalisation do not fit.
        WeightsError: if the checkpoint cannot be fetched or read.
    """

    def __init__(
        self,
        checkpoint: str | Path,
        classes: list[str] | Literal["imagenet"],
        *,
        templates: list[str] | Literal["openai", "simple"] = "openai",
        revision: str | None = None,
        mean: Channels | None = None,
        std: Channels | None = None,
        input_size: int | Literal["auto"] | None = "auto",
    ) -> None:
        library = imported("open_clip", "OpenClipVictim", _REMEDY)
        names = _names(library, classes)
        prompts = _prompts(library, templates)
        folder = checkpoint_folder(checkpoint, revision, _CONFIG, _TOKENIZER, _WEIGHTS)
        model, preprocessing = _read(library, folder)
        own_mean, own_std = tuple(preprocessing["mean"]), tuple(preprocessing["std"])
        require_normalisation(mean, std, (own_mean, own_std), _CONFIG)
        tokenizer = library.get_tokenizer(f"local-dir:{folder}")
        network = _ZeroShot(model, _text_side(model, tokenizer, names, prompts))
        side = preprocessing["size"]
        side = side if isinstance(side, int) else side[0]
        interpolation: Interpolation = (
            "bilinear" if preprocessing.get("interpolation") == "bilinear" else "bicubic"
        )
        super().__init__(
            network,
            len(names),
            mean=own_mean,
            std=own_std,
            input_size=side if input_size == "auto" else input_size,
            interpolation=interpolation,
        )
        self.checkpoint = checkpoint
        self.classes = classes
        self.templates = templates
        self.revision = revision


class _ZeroShot(nn.Module):
    """The image side of a network, with weights of classes.

    Args:
        model: of open_clip.
        classes: (K, D), of length 1 each.
    """

    classes: Tensor
    scale: Tensor
    bias: Tensor

    def __init__(self, model: Any, classes: Tensor) -> None:
        super().__init__()
        self.visual = model.visual
        bias = getattr(model, "logit_bias", None)
        self.register_buffer("classes", classes)
        self.register_buffer("scale", model.logit_scale.detach().exp())
        self.register_buffer("bias", torch.zeros(()) if bias is None else bias.detach().clone())

    def forward(self, inputs: Tensor) -> Tensor:
        """Return logits (N, K) of normalised images (N, 3, H, W)."""
        features = F.normalize(self.visual(inputs), dim=-1)
        return self.scale * features @ self.classes.T + self.bias


def _names(library: Any, classes: list[str] | str) -> list[str]:
    if isinstance(classes, str):
        return list(choose("classes", {"imagenet": library.IMAGENET_CLASSNAMES}, classes))
    if not all(name.strip() for name in classes):
        raise InputError("classes must be names, got an empty one. Name every class of the data.")
    return list(classes)


def _prompts(library: Any, templates: list[str] | str) -> list[Any]:
    if isinstance(templates, str):
        known = {
            "openai": library.OPENAI_IMAGENET_TEMPLATES,
            "simple": library.SIMPLE_IMAGENET_TEMPLATES,
        }
        return list(choose("templates", known, templates))
    if not templates or not all(text.count("{}") == 1 for text in templates):
        raise InputError(
            f"templates must hold one {{}} each for the name of a class, got {templates}. Write "
            "for example 'a photo of a {}.'."
        )
    return [text.format for text in templates]


def _read(library: Any, folder: Path) -> tuple[Any, dict[str, Any]]:
    try:
        told = json.loads((folder / _CONFIG).read_text())["preprocess_cfg"]
        model = library.create_model(f"local-dir:{folder}", device="cpu").eval()
        usual = {"mean": model.visual.image_mean, "std": model.visual.image_std}
        usual["size"] = model.visual.image_size
    except Exception as error:  # whatever damaged files make a library raise
        let_memory_errors_pass(error)
        raise WeightsError(
            f"checkpoint {str(folder)!r} must be one that open_clip can read "
            f"({type(error).__name__}: {first_line(error)}). Copy its {_CONFIG} and weights again."
        ) from error
    return model, usual | told


@torch.no_grad()
def _text_side(model: Any, tokenizer: Any, names: Sequence[str], prompts: Sequence[Any]) -> Tensor:
    """Return each class's weights (K, D): the mean feature of its texts."""
    texts = [prompt(name) for name in names for prompt in prompts]
    parts = [texts[start : start + _BATCH] for start in range(0, len(texts), _BATCH)]
    features = torch.cat(
        [F.normalize(model.encode_text(tokenizer(part)), dim=-1) for part in parts]
    )
    return F.normalize(features.view(len(names), len(prompts), -1).mean(1), dim=-1)

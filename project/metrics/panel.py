"""The panel of perceptual metrics of a run: what was asked for, less what cannot be had."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal, get_args
from urllib.error import URLError

import torch
from torchvision.models import AlexNet_Weights, SqueezeNet1_1_Weights, VGG16_Weights

from project.metrics.perceptual import L2, LPIPS, MSE, PSNR, SSIM, Linf, PerceptualMetric
from project.metrics.weights import fetch

PerceptualName = Literal[
    "l2", "linf", "mse", "psnr", "ssim", "lpips_squeeze", "lpips_alex", "lpips_vgg"
]
PERCEPTUAL_NAMES: tuple[str, ...] = get_args(PerceptualName)

_PLAIN: dict[str, Callable[[], PerceptualMetric]] = {
    metric.name: metric for metric in (L2, Linf, MSE, PSNR, SSIM)
}
_BACKBONE_URL: dict[Literal["squeeze", "alex", "vgg"], str] = {
    "squeeze": SqueezeNet1_1_Weights.IMAGENET1K_V1.url,
    "alex": AlexNet_Weights.IMAGENET1K_V1.url,
    "vgg": VGG16_Weights.IMAGENET1K_V1.url,
}


def perceptual_panel(names: Sequence[str]) -> tuple[list[PerceptualMetric], list[str]]:
    """Build the metrics that can be had on this machine.

    Backbone weights are looked for in torch's cache (``$TORCH_HOME/hub/checkpoints``, by default
    ``~/.cache/torch/hub/checkpoints``), then fetched with a short time limit.

    Args:
        names: of :data:`PERCEPTUAL_NAMES`, in the order wanted.

    Returns:
        The metrics, and one line for each that is left out: which, why, and which file to put
        where.

    Raises:
        ValueError: if a name is unknown.
    """
    unknown = [name for name in names if name not in PERCEPTUAL_NAMES]
    if unknown:
        raise ValueError(
            f"unknown perceptual metric: {', '.join(unknown)}. "
            f"Choose from: {', '.join(PERCEPTUAL_NAMES)}."
        )
    metrics: list[PerceptualMetric] = []
    notices: list[str] = []
    for name in names:
        if name in _PLAIN:
            metrics.append(_PLAIN[name]())
            continue
        metric, notice = _lpips_or_notice(name)
        metrics.extend([metric] if metric else [])
        notices.extend([notice] if notice else [])
    return metrics, notices


def _lpips_or_notice(name: str) -> tuple[LPIPS | None, str]:
    net = next(net for net in _BACKBONE_URL if name == f"lpips_{net}")
    url = _BACKBONE_URL[net]
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        if not path.is_file():
            fetch(url, path)
        return LPIPS(net), ""
    except (URLError, OSError, EOFError, RuntimeError, pickle.UnpicklingError) as error:
        why = " ".join(str(error).split())[:120] or type(error).__name__
        fault = "has unreadable backbone weights" if path.is_file() else "has no backbone weights"
        return None, (
            f"{name} is left out: it {fault} ({why}). Put {path.name} from {url} into {path.parent}"
        )

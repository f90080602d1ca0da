"""The panel of perceptual metrics of a run: what was asked for, less what cannot be had."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

from project.metrics.comparison import PerceptualMetric
from project.metrics.edges import SCC
from project.metrics.fidelity import UQI, UQISewar
from project.metrics.information import VIFp
from project.metrics.learned import BACKBONE_URLS, DISTS, LPIPS
from project.metrics.perceptual import L0, L2, MSE, PSNR, Linf
from project.metrics.structural import MSSSIM, SSIM
from project.metrics.weights import UNAVAILABLE, left_out, published

PerceptualName = Literal[
    "l0",
    "l2",
    "linf",
    "mse",
    "psnr",
    "ssim",
    "ms_ssim",
    "uqi",
    "uqi_sewar",
    "scc",
    "vif_p",
    "lpips_squeeze",
    "lpips_alex",
    "lpips_vgg",
    "dists",
]
PERCEPTUAL_NAMES: tuple[str, ...] = get_args(PerceptualName)

_PLAIN: dict[str, Callable[[], PerceptualMetric[Any]]] = {
    metric.name: metric
    for metric in (L0, L2, Linf, MSE, PSNR, SSIM, MSSSIM, UQI, UQISewar, SCC, VIFp)
}
_LEARNED: dict[str, tuple[str, Callable[[], PerceptualMetric[Any]]]] = {
    "lpips_squeeze": (BACKBONE_URLS["squeeze"], partial(LPIPS, "squeeze")),
    "lpips_alex": (BACKBONE_URLS["alex"], partial(LPIPS, "alex")),
    "lpips_vgg": (BACKBONE_URLS["vgg"], partial(LPIPS, "vgg")),
    "dists": (BACKBONE_URLS["vgg"], DISTS),
}
"""The URL of the backbone's weights, and the metric."""


def perceptual_panel(names: Sequence[str]) -> tuple[list[PerceptualMetric[Any]], list[str]]:
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
    metrics: list[PerceptualMetric[Any]] = []
    notices: list[str] = []
    for name in names:
        if name in _PLAIN:
            metrics.append(_PLAIN[name]())
            continue
        url, learned = _LEARNED[name]
        try:
            published(url)
            metrics.append(learned())
        except UNAVAILABLE as error:
            notices.append(left_out(name, url, error))
    return metrics, notices


def size_notices(metrics: Sequence[PerceptualMetric[Any]], height: int, width: int) -> list[str]:
    """Return one line for each metric that cannot compare images of a size, in pixels."""
    return [
        f"{metric.name} is left out of images smaller than {metric.smallest}×{metric.smallest} "
        f"pixels; the first is {height}×{width}."
        for metric in metrics
        if min(height, width) < metric.smallest
    ]

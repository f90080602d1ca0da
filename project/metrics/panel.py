"""The panel of a run's perceptual metrics: those requested, without those unavailable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Literal, get_args

import torch
from torch import Tensor

from project.core.errors import InputError, let_memory_errors_pass
from project.metrics.cache import Cache
from project.metrics.ciede2000 import CIEDE2000
from project.metrics.family import MetricFamily, families
from project.metrics.learned import BACKBONE_URLS, DISTS, LPIPS
from project.metrics.perceptual_metric import PerceptualMetric
from project.metrics.scc import SCC
from project.metrics.shift_tolerant import STLPIPS
from project.metrics.size_of_change import MSE, PSNR, L0Norm, L2Norm, LinfNorm
from project.metrics.sliding_windows import checked_pair, eight_bit, in_parts
from project.metrics.ssim import MSSSIM, SSIM
from project.metrics.uqi import UQI, UQISewar
from project.metrics.vif import VIFp
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
    "ciede2000",
    "lpips_squeeze",
    "lpips_alex",
    "lpips_vgg",
    "stlpips_alex",
    "stlpips_vgg",
    "dists",
]
PERCEPTUAL_NAMES: tuple[str, ...] = get_args(PerceptualName)

_PLAIN: dict[str, Callable[[], PerceptualMetric[Any]]] = {
    metric.name: metric
    for metric in (
        *(L0Norm, L2Norm, LinfNorm, MSE, PSNR, SSIM, MSSSIM, UQI, UQISewar, SCC, VIFp),
        CIEDE2000,
    )
}
_LEARNED: dict[str, tuple[str, Callable[[], PerceptualMetric[Any]]]] = {
    "lpips_squeeze": (BACKBONE_URLS["squeeze"], partial(LPIPS, "squeeze")),
    "lpips_alex": (BACKBONE_URLS["alex"], partial(LPIPS, "alex")),
    "lpips_vgg": (BACKBONE_URLS["vgg"], partial(LPIPS, "vgg")),
    "dists": (BACKBONE_URLS["vgg"], DISTS),
}
"""The URL of the backbone's weights, and the metric."""
_PACKAGED: dict[str, Callable[[], PerceptualMetric[Any]]] = {
    "stlpips_alex": partial(STLPIPS, "alex"),
    "stlpips_vgg": partial(STLPIPS, "vgg"),
}
"""Metrics whose weights come with a package that need not be installed."""


def perceptual_summaries() -> dict[str, str]:
    """Return the first line of what each metric is, by name."""
    packaged = {name: (None, make) for name, make in _PACKAGED.items()}
    known = dict(_PLAIN) | {name: make for name, (_, make) in (_LEARNED | packaged).items()}
    told = {name: getattr(make, "func", make).__doc__ or "" for name, make in known.items()}
    return {name: told[name].strip().partition("\n")[0] for name in PERCEPTUAL_NAMES}


def perceptual_panel(names: Sequence[str]) -> tuple[list[PerceptualMetric[Any]], list[str]]:
    """Build the metrics whose weights are available on this machine.

    Backbone weights are looked for in torch's cache (``$TORCH_HOME/hub/checkpoints``, by default
    ``~/.cache/torch/hub/checkpoints``), then fetched with a short time limit; those of ST-LPIPS in
    the installed package ``stlpips-pytorch``.

    Args:
        names: names from :data:`PERCEPTUAL_NAMES`, in the order wanted.

    Returns:
        The metrics, and one line for each that is left out: its name, the reason, and which file
        to put where.

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
        if name in _PACKAGED:
            try:
                metrics.append(_PACKAGED[name]())
            except InputError as error:
                let_memory_errors_pass(error)
                notices.append(f"{name} is left out: {error}")
            continue
        url, learned = _LEARNED[name]
        try:
            published(url)
            metrics.append(learned())
        except UNAVAILABLE as error:
            let_memory_errors_pass(error)
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


class PanelComparison:
    """Compares the adversarial images of many attacks with the same clean ones.

    The metrics' clean sides are computed once per image and cached while there is room; values do
    not depend on the cache. A metric that cannot compare images so small is left out.

    Args:
        metrics: the panel's metrics.
        memory: bytes of clean sides to cache, on the images' device.
    """

    def __init__(self, metrics: Sequence[PerceptualMetric[Any]], memory: int) -> None:
        self.metrics = metrics
        self._clean = Cache(memory)

    @torch.no_grad()
    def __call__(self, clean: Tensor, adversarial: Tensor, index: Tensor) -> dict[str, Tensor]:
        """Compare a batch, metric by metric.

        Args:
            clean: (N, 3, H, W) in [0, 1].
            adversarial: likewise.
            index: (N,) int64, ids of the clean images. Cached sides are found only by a batch of
                the same samples, as the batches of all passes of an experiment are.

        Returns:
            One value per image, (N,) float64, by name.
        """
        checked_pair(clean, adversarial, 1, "a comparison")
        metrics = [metric for metric in self.metrics if min(clean.shape[2:]) >= metric.smallest]
        related = families(metrics)
        batch = tuple(index.tolist())
        found = []
        for place, (x, y) in enumerate(zip(in_parts(clean), in_parts(adversarial), strict=True)):
            sides = self._clean.get((batch, place), partial(_sides, related, x))
            levels = eight_bit(y)
            values: dict[str, Tensor] = {}
            for family, side in zip(related, sides, strict=True):
                values |= family.compare(side, levels)
            found.append(values)
        return {
            metric.name: torch.cat([values[metric.name] for values in found]) for metric in metrics
        }


def _sides(related: Sequence[MetricFamily], clean: Tensor) -> list[Any]:
    levels = eight_bit(clean)
    return [family.prepare(levels) for family in related]

"""The figures of SSTA's paper, which tables show beside the measured ones.

Source: Liu et al., "SSTA: Salient Spatially Transformed Attack", ICASSP 2024, arXiv 2312.07258
[paper]: 1,000 images of the NIPS 2017 development set at 224², victims VGG-19, ResNet-50,
DenseNet-121, ViT-B/16 and Swin-B, quality over fooled images. The paper names neither the LPIPS
backbone nor which of the two definitions of UQI it uses; only the window-mean variant of the
``sewar`` package reaches its values.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Published:
    """One attack in the paper.

    Attributes:
        title: the paper's name for it.
        asr: on its five victims, in %, in the order above.
        quality: means by metric.
    """

    title: str
    asr: tuple[float, ...]
    quality: Mapping[str, float]

    @property
    def mean_asr(self) -> float:
        """Mean over the paper's victims, in [0, 1]."""
        return sum(self.asr) / len(self.asr) / 100

    def value(self, metric: str) -> float | None:
        """Return the figure that stands for a column of the rows, None without one.

        Every LPIPS column has the paper's only LPIPS beside it.
        """
        return self.quality.get("lpips" if metric.startswith("lpips_") else metric)


_METRICS = ("lpips", "dists", "mse", "uqi_sewar", "scc", "psnr", "vif_p", "ssim")


def _quality(*values: float) -> dict[str, float]:
    return dict(zip(_METRICS, values, strict=True))


PUBLISHED = {
    "ssta": Published(
        "SSTA",
        (100, 99.86, 100, 100, 100),
        _quality(0.0038, 0.0091, 2.12, 0.9998, 0.9890, 49.24, 0.9487, 0.9987),
    ),
    "stadv": Published(
        "stAdv",
        (100, 100, 100, 100, 100),
        _quality(0.1595, 0.1524, 95.75, 0.9925, 0.6415, 29.81, 0.5229, 0.9391),
    ),
    "chromashift": Published(
        "Chroma-Shift",
        (93.69, 94.67, 95.10, 95.09, 96.66),
        _quality(0.0135, 0.0165, 23.54, 0.9925, 0.9623, 36.57, 0.7644, 0.9771),
    ),
    "advdrop": Published(
        "AdvDrop",
        (100, 99.07, 100, 95.97, 99.79),
        _quality(0.0956, 0.0678, 17.05, 0.9952, 0.6894, 36.15, 0.6474, 0.9688),
    ),
}
"""By the name of the class that makes the attack, in lower case."""


def method(attack: str, settings: Any) -> str:
    """Return which method an attack is, a key of :data:`PUBLISHED` or a class's name.

    Args:
        attack: its name, which decides where the settings name no class.
        settings: ``class_path`` and ``init_args`` as in a config; of a wrapper, such as one that
            shrinks the perturbation of another attack, the attack inside counts.
    """
    classes = [_plain(path.rsplit(".", 1)[-1]) for path in _class_paths(settings)]
    known = [name for name in classes if name in PUBLISHED]
    if known or classes:
        return (known or classes)[0]
    name = _plain(attack)
    return next((known for known in PUBLISHED if name.startswith(known)), name)


def _class_paths(settings: Any) -> Iterator[str]:
    """Yield an attack's class, then those of the attacks that it wraps, and so on."""
    if not (isinstance(settings, Mapping) and isinstance(settings.get("class_path"), str)):
        return
    yield settings["class_path"]
    arguments = settings.get("init_args")
    if isinstance(arguments, Mapping):
        for inner in (arguments.get("attack"), *(arguments.get("attacks") or ())):
            yield from _class_paths(inner)


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())

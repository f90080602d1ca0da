"""Feature extractors for FID and KID.

Convention
    images     (N, 3, H, W) in [0, 1]; rounded to k/255 before anything is computed
    features   (N, D) float32
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from project.core.errors import InputError, let_memory_errors_pass
from project.images.eight_bit import to_8bit
from project.metrics.sliding_windows import eight_bit
from project.metrics.states import Column
from project.metrics.weights import UNAVAILABLE, left_out, published
from project.victims import ClassificationVictim
from project.victims.weights import WeightsError, read_weights, resolve

_INCEPTION_URL = (
    "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
    "weights-inception-2015-12-05-6726825d.pth"
)


class FeatureExtractor(nn.Module, ABC):
    """Maps images to feature vectors, image by image."""

    def prepare(self) -> str:
        """Load what is needed; return one line on what is missing, or an empty string."""
        return ""

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, D) of images (N, 3, H, W) in [0, 1]."""


class InceptionFeatures(FeatureExtractor):
    """The 2048 pooled features of the Inception network that FID is defined on.

    The network of ``torch-fidelity`` (``pip install torch-fidelity``), which torchmetrics uses too:
    TensorFlow's weights of 2015, images resized to 299² as TensorFlow did. FIDs of papers compare
    with this one only.

    Source: Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
    equilibrium", NeurIPS 2017.

    Args:
        checkpoint: the weight file; None is the one in torch's cache, downloaded if missing, and
            if that fails the features are left out.
    """

    def __init__(self, checkpoint: str | Path | None = None) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.network: nn.Module | None = None

    def prepare(self) -> str:
        """Load the network, or return one line on what is missing.

        Raises:
            WeightsError: if a given checkpoint cannot be read.
        """
        try:
            from torch_fidelity.feature_extractor_inceptionv3 import (  # noqa: PLC0415 - optional
                FeatureExtractorInceptionV3,
            )
        except ImportError:
            return "Inception is left out: run pip install torch-fidelity"
        try:
            path = (
                published(_INCEPTION_URL) if self.checkpoint is None else resolve(self.checkpoint)
            )
            read_weights(path)  # refuses pickled code, which torch-fidelity would run
            self.network = FeatureExtractorInceptionV3("inception", ["2048"], str(path))
        except (*UNAVAILABLE, WeightsError) as error:
            let_memory_errors_pass(error)
            if self.checkpoint is not None:
                raise
            return left_out("Inception", _INCEPTION_URL, error)
        return ""

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, 2048) of images (N, 3, H, W) in [0, 1]."""
        assert self.network is not None, "call prepare() first"
        (features,) = self.network(eight_bit(images).to(torch.uint8))
        return features  # type: ignore[no-any-return]


class VictimFeatures(FeatureExtractor):
    """The input of a classifier's last linear layer, where Inception's weights are unavailable.

    The network is part of the metric and should be in its name: FIDs of different features do not
    compare.

    Args:
        victim: a classifier of timm or torchvision, with its weights.
        layer: dotted name of the layer whose input it is; None is the last linear one. Maps
            (N, D, H, W) are averaged over their pixels.

    Raises:
        InputError: if there is no such layer.
    """

    def __init__(self, victim: ClassificationVictim, layer: str | None = None) -> None:
        super().__init__()
        self.victim = victim
        self.layer = layer
        self.victim.eval()
        self._module(layer)  # raises now rather than after the attacks

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        """Return features (N, D) of images (N, 3, H, W) in [0, 1]."""
        seen: list[Tensor] = []
        hook = self._module(self.layer).register_forward_pre_hook(
            lambda module, inputs: seen.append(inputs[0])
        )
        try:
            self.victim(to_8bit(images))
        finally:
            hook.remove()
        features = seen[-1]
        return (features.mean((2, 3)) if features.ndim == 4 else features.flatten(1)).float()

    def _module(self, layer: str | None) -> nn.Module:
        modules: dict[str, nn.Module] = dict(self.victim.network.named_modules())
        linear = [name for name, module in modules.items() if isinstance(module, nn.Linear)]
        name = layer if layer is not None else linear[-1] if linear else None
        if name is None or name not in modules:
            raise InputError(
                "layer must name a layer of the network, or the network must have a linear one, "
                f"got {layer!r}. Choose from: {', '.join(list(modules)[-5:])} and others."
            )
        return modules[name]


def feature_panel(
    extractors: Mapping[str, FeatureExtractor],
) -> tuple[dict[str, FeatureExtractor], list[str]]:
    """Prepare extractors; return those that are available, and one line for each that is not."""
    ready, notices = {}, []
    for name, extractor in extractors.items():
        missing = extractor.prepare()
        if missing:
            notices.append(f"fid_{name} and kid_{name} cannot be had. {missing}")
        else:
            ready[name] = extractor
    return ready, notices


class Features(NamedTuple):
    """Features of all images, in the order of their index.

    Attributes:
        values: (N, D) float64 on the CPU.
        fooled: (N,) bool, whether each image fools the source.
    """

    values: Tensor
    fooled: Tensor


class FeatureSet:
    """Stores features image by image, 4·D bytes each, so that any order gives the same distance.

    Args:
        device: device of the states.
    """

    def __init__(self, device: torch.device) -> None:
        self._index = Column(torch.int64).to(device)
        self._values = Column(torch.float32).to(device)
        self._fooled = Column(torch.int64).to(device)

    def update(self, index: Tensor, features: Tensor, fooled: Tensor | None = None) -> None:
        """Add a batch: index (N,), features (N, D), fooled (N,) bool or None."""
        self._index.update(index)
        self._values.update(features.flatten())
        self._fooled.update(torch.zeros_like(index) if fooled is None else fooled)

    def compute(self) -> Features:
        """Return the features of all processes; a collective, so every process must call it."""
        index, values, fooled = (
            column.compute() for column in (self._index, self._values, self._fooled)
        )
        # Sorted by sample: float sums in a fixed order are the same at any number of processes.
        order = index.argsort()
        return Features(values.view(len(index), -1)[order].double(), fooled[order].bool())

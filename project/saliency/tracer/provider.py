"""TRACER as a provider of saliency maps, which SSTA's paper takes its masks from."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor

from project.core.arrays import weights_hash
from project.core.choices import choose
from project.core.errors import InputError
from project.core.samples import Samples
from project.saliency.provider import Saliency
from project.saliency.tracer.network import STRIDE, TracerNetwork, TracerVariant
from project.victims.victim import IMAGENET_MEAN, IMAGENET_STD
from project.victims.weights import WeightsError, load_weights

SIDES: dict[TracerVariant, int] = {
    "b0": 320,
    "b1": 320,
    "b2": 352,
    "b3": 384,
    "b4": 448,
    "b5": 512,
    "b6": 576,
    "b7": 640,
}
"""Side of the square that each variant was trained on, in pixels."""
RELEASE = "https://github.com/Karel911/TRACER/releases/tag/v1.0"


@dataclass(frozen=True, eq=False)  # weights may be given beside the fields
class TRACER(Saliency):
    """Saliency maps from the network TRACER, which detects the salient object.

    Images are stretched to the variant's square, and the map's sigmoid is stretched back, both
    bilinearly and without antialiasing [code]. Images go through one by one and in float32, so
    that a map depends neither on its batch mates nor on the trainer's precision.

    Source: Lee, Shin & Han, "TRACER: Extreme Attention Guided Salient Object Tracing Network",
    AAAI 2022 [paper], https://github.com/Karel911/TRACER [code]; which variant SSTA used, its
    paper does not say.

    The weights are read when the provider is attached to a data set (before an experiment starts)
    or first asked for maps.

    Raises:
        WeightsError: when the weights are read, if the file is missing or does not fit.
    """

    kept = True

    variant: TracerVariant = "b0"
    """Variant of the encoder, ``b0`` (the fastest) to ``b7``."""
    checkpoint: str | None = None
    """Weight file, published or written by ``train.py``; None is ``TRACER-Efficient-{0..7}.pth``
    among torch.hub's checkpoints."""
    input_size: int | None = None
    """Side of the square, a multiple of 32; None is the variant's own."""

    def __post_init__(self) -> None:
        choose("variant", SIDES, self.variant)
        if self.input_size is not None and (self.input_size < STRIDE or self.input_size % STRIDE):
            raise InputError(f"input_size must be a multiple of {STRIDE}, got {self.input_size}.")

    def attach(self, samples: Samples) -> None:
        """Read the weights now, so that a missing file is noticed early; no sample is needed."""
        self.fingerprint()

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """Return maps (N, 1, H, W) in [0, 1] of images (N, 3, H, W) in [0, 1]."""
        self._network.to(images.device)
        # float32, whatever the trainer's precision, and one by one, whatever the batch: cached maps
        # must depend on their image alone, bit for bit.
        with torch.autocast(images.device.type, enabled=False):
            return torch.cat([self._map(image[None]) for image in images.float()]).to(images)

    def load_published(self, weights: Mapping[str, Tensor]) -> Self:
        """Take weights that are in memory already, with or without the prefix ``module.``.

        Raises:
            RuntimeError: if names or shapes are not those of the variant.
        """
        network = TracerNetwork(self.variant)
        network.load_published(weights)
        vars(self)["_network"] = network.eval().requires_grad_(False)
        self.__dict__.pop("_weights_hash", None)
        return self

    def fingerprint(self) -> str:
        """Return the SHA-256 of the weights."""
        return self._weights_hash

    @cached_property
    def _network(self) -> TracerNetwork:
        path = _require_weights(self.variant, self.checkpoint)
        network = TracerNetwork(self.variant).eval().requires_grad_(False)
        _load(network, path)
        return network

    @cached_property
    def _weights_hash(self) -> str:
        return weights_hash(self._network)

    def _map(self, image: Tensor) -> Tensor:
        side = self.input_size or SIDES[self.variant]
        mean, std = (image.new_tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
        square = F.interpolate(image, (side, side), mode="bilinear")
        saliency = self._network((square - mean) / std).saliency.sigmoid()
        return F.interpolate(saliency, image.shape[2:], mode="bilinear").clamp(0, 1)


def default_checkpoint(variant: TracerVariant) -> Path:
    """Return the path at which the published file of a variant is expected."""
    return Path(torch.hub.get_dir()) / "checkpoints" / f"TRACER-Efficient-{variant[1:]}.pth"


def _require_weights(variant: TracerVariant, checkpoint: str | None) -> str | Path:
    default = default_checkpoint(variant)
    if checkpoint is None and not default.is_file():
        raise WeightsError(
            f"TRACER needs the weight file {default.name}, which is not there: fetch it from "
            f"{RELEASE} (repository Karel911/TRACER, release v1.0) and put it at {str(default)!r}, "
            "or name another file as checkpoint."
        )
    return checkpoint or default


def _load(network: TracerNetwork, path: str | Path) -> None:
    try:
        load_weights(network, path)
    except WeightsError as error:
        raise WeightsError(
            f"{error} TRACER's variant is {network.variant!r}, whose published file is "
            f"{default_checkpoint(network.variant).name} of {RELEASE}."
        ) from error

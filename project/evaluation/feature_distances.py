"""FID and KID between the adversarial images of each pass and their own clean images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from project.evaluation.plan import CLEAN, Pass
from project.metrics import (
    BIASED_BELOW,
    FeatureExtractor,
    FeatureSet,
    frechet_distance,
    paired_kernel_distance,
)
from project.storage.rows import Measure


class FeatureDistances:
    """FID and KID between the features of adversarial and clean images, pass by pass.

    As SSTA's tables do, the adversarial images are compared with the very images that they were
    made from, so KID leaves out each image's own pair. Over all images (``fid_NAME``), and for a
    classifier over those that fool the source (``fid_NAME_fooled``); ``total`` is N.

    Args:
        extractors: feature extractors by the name that the distances get.
        plan: the passes, the one on clean images among them.
        device: device of the metric states.
    """

    def __init__(
        self, extractors: Mapping[str, FeatureExtractor], plan: Sequence[Pass], device: torch.device
    ) -> None:
        self.extractors = extractors
        self.plan = plan
        self._sets = {(step, name): FeatureSet(device) for step in plan for name in self.extractors}
        self._splits = False

    def update(self, step: Pass, images: Tensor, index: Tensor, fooled: Tensor | None) -> None:
        """Add a batch: images (N, 3, H, W), index (N,), and of a classifier fooled (N,) bool."""
        self._splits = self._splits or fooled is not None
        for name, extractor in self.extractors.items():
            with torch.no_grad(), torch.autocast(images.device.type, enabled=False):
                features = extractor(images)
            self._sets[step, name].update(index, features, fooled)

    def measures(self) -> list[Measure]:
        """Return the distances over all processes; a collective, so every process must call it."""
        return [
            measure
            for name in self.extractors
            for step in self.plan
            if not step.clean
            for measure in self._distances(step, name)
        ]

    def notices(self, images: int) -> list[str]:
        """Return a warning about FID's bias if there are too few images."""
        if not self.extractors or images >= BIASED_BELOW:
            return []
        names = ", ".join(f"fid_{name}" for name in self.extractors)
        return [
            f"{names}: over {images} images. Below about {BIASED_BELOW:,} FID is biased, so "
            "only values of equal N compare; KID, beside it, is unbiased and can be negative."
        ]

    def _distances(self, step: Pass, name: str) -> list[Measure]:
        clean = self._sets[CLEAN, name].compute().values
        adversarial, fooled = self._sets[step, name].compute()
        chosen = {"": torch.ones_like(fooled)} | ({"_fooled": fooled} if self._splits else {})
        return [
            Measure(
                step.attack,
                step.source,
                step.source,
                f"{kind}_{name}{which}",
                distance(clean[rows], adversarial[rows]),
                total=int(rows.sum()),
            )
            for which, rows in chosen.items()
            for kind, distance in (("fid", frechet_distance), ("kid", paired_kernel_distance))
        ]

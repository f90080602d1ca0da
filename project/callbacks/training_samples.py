"""Validation images as a training run's folder keeps them, epoch by epoch.

Files of ``samples/EPOCH/INDEX/`` are those of a gallery's sample (:mod:`project.report.gallery`),
and of a classifier ``verdict.json``: the classes of image and prediction.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from project.data.batch import Batch


class SampleFolder:
    """The samples of one epoch.

    Args:
        folder: of all epochs.
        epoch: 0, 1, …
    """

    def __init__(self, folder: Path, epoch: int) -> None:
        self.folder = folder / f"epoch_{epoch:05d}"

    def keep(self, victim: nn.Module, batch: Batch, shown: Collection[int]) -> None:
        """Write those images of a batch with adversarial ones that are to be shown.

        Args:
            victim: whose predictions are kept.
            batch: image, target, index and perhaps adversarial.
            shown: the indices to keep.
        """
        index = batch["index"].tolist()
        places = [place for place, one in enumerate(index) if one in shown]
        if not places or "adversarial" not in batch:
            return
        clean, adversarial, target = (
            batch[name][places] for name in ("image", "adversarial", "target")
        )
        with torch.no_grad():
            predictions = victim(torch.cat([clean, adversarial])).argmax(1).chunk(2)
        for row, place in enumerate(places):
            folder = self.folder / f"{index[place]:08d}"
            folder.mkdir(parents=True, exist_ok=True)
            _picture(clean[row]).save(folder / "clean.png")
            _picture(adversarial[row]).save(folder / "adversarial.png")
            _verdict(folder, target[row], predictions[0][row], predictions[1][row])


def _verdict(folder: Path, target: Tensor, clean: Tensor, adversarial: Tensor) -> None:
    """Write classes: of an image as JSON, of pixels as PNG."""
    found = {"target": target, "prediction_clean": clean, "prediction_adversarial": adversarial}
    if target.ndim:
        for name, classes in found.items():
            Image.fromarray(classes.byte().cpu().numpy()).save(folder / f"{name}.png")
        return
    told: dict[str, Any] = {name: int(label) for name, label in found.items()}
    (folder / "verdict.json").write_text(json.dumps(told))


def _picture(image: Tensor) -> Image.Image:
    pixels = image.mul(255).round().byte().permute(1, 2, 0).cpu().numpy()
    return Image.fromarray(pixels)

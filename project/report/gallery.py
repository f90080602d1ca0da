"""The gallery of a run: a folder of small files per image, attack and source.

Files of ``gallery/ATTACK/SOURCE/INDEX/``
    clean.png, adversarial.png                        the images, 8-bit RGB
    flow.npy                                          optional, (2, H, W) in pixels, (dx, dy)
    mask.png                                          optional, 8-bit grey
    target.png, prediction_clean.png,
    prediction_adversarial.png                        segmentation: class ids, 255 = void
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from project.report.pictures import Bytes, difference, flow_colours, overlay, spotlight

LABELS = {
    "target": "ground truth",
    "prediction_clean": "source on clean",
    "prediction_adversarial": "source on adversarial",
}


@dataclass(frozen=True)
class Picture:
    """One picture of a sample.

    Attributes:
        kind: clean, adversarial, difference, flow, mask, target, prediction_clean or
            prediction_adversarial.
        label: what to write under it, with the factor, length or area that it needs.
        image: the pixels.
    """

    kind: str
    label: str
    image: Image.Image


@dataclass(frozen=True)
class Sample:
    """One image attacked in one way.

    Attributes:
        attack: name of the attack.
        source: name of the victim attacked.
        index: the image's stable id.
        folder: where its files lie.
    """

    attack: str
    source: str
    index: int
    folder: Path

    def pictures(self) -> Iterator[Picture]:
        """Yield clean, adversarial, difference, then flow, mask and classes where there are any."""
        clean, adversarial = self._read("clean"), self._read("adversarial")
        yield Picture("clean", "clean", Image.fromarray(clean))
        yield Picture("adversarial", "adversarial", Image.fromarray(adversarial))
        image, factor = difference(clean, adversarial)
        yield Picture("difference", f"difference ×{factor}", image)
        if (path := self.folder / "flow.npy").is_file():
            image, largest = flow_colours(np.load(path))
            yield Picture("flow", f"flow, at most {largest:.2f} px", image)
        if (self.folder / "mask.png").is_file():
            mask = self._read("mask", "L")
            share = float(mask.mean()) / 255
            yield Picture("mask", f"mask, {100 * share:.1f} % of the image", spotlight(clean, mask))
        for kind, label in LABELS.items():
            if (self.folder / f"{kind}.png").is_file():
                yield Picture(kind, label, overlay(clean, self._read(kind, "L")))

    def classes(self) -> set[int]:
        """Return the class ids that its overlays show."""
        kinds = [kind for kind in LABELS if (self.folder / f"{kind}.png").is_file()]
        return {int(k) for kind in kinds for k in np.unique(self._read(kind, "L"))} - {255}

    def _read(self, name: str, mode: str = "RGB") -> Bytes:
        with Image.open(self.folder / f"{name}.png") as image:
            return np.asarray(image.convert(mode))


def samples(run: Path) -> list[Sample]:
    """Return a run's gallery, sorted by attack, source and index; empty without one."""
    found = [
        Sample(path.parts[-4], path.parts[-3], int(path.parts[-2]), path.parent)
        for path in (run / "gallery").glob("*/*/*/adversarial.png")
    ]
    return sorted(found, key=lambda sample: (sample.attack, sample.source, sample.index))

"""One image attacked in one way: where its files lie, and pictures made of them."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from project.report.gallery.names import name_of, names_by_folder
from project.report.pictures import Bytes, difference, flow_colours, overlay, spotlight
from project.report.reading import whole
from project.storage import layout
from project.storage.checksums import read_checked

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
        folder: where its own files lie; what all attacks share may lie with the originals.
    """

    attack: str
    source: str
    index: int
    folder: Path

    def path(self, kind: str) -> Path | None:
        """Return the file of a kind, None where there is none.

        Args:
            kind: of :class:`Picture`, without the difference, which is no file.
        """
        own = self.folder / layout.picture_name(kind)
        if own.is_file():
            return own
        original = self.folder.parents[2] / layout.ORIGINALS / self.folder.name
        if kind == "prediction_clean":
            shared = original / layout.PREDICTIONS / f"{self.folder.parent.name}.png"
        else:
            shared = original / own.name
        return shared if shared.is_file() else None

    def pictures(self) -> Iterator[Picture]:
        """Yield clean, adversarial, difference, then flow, mask and classes where there are any."""
        clean, adversarial = self.read("clean"), self.read("adversarial")
        yield Picture("clean", "clean", Image.fromarray(clean))
        yield Picture("adversarial", "adversarial", Image.fromarray(adversarial))
        image, factor = difference(clean, adversarial)
        yield Picture("difference", f"difference ×{factor}", image)
        if path := self.path("flow"):
            image, largest = flow_colours(np.load(io.BytesIO(read_checked(path))))
            yield Picture("flow", f"flow, at most {largest:.2f} px", image)
        if self.path("mask"):
            mask = self.read("mask", "L")
            share = float(mask.mean()) / 255
            yield Picture("mask", f"mask, {100 * share:.1f} % of the image", spotlight(clean, mask))
        for kind, label in LABELS.items():
            if self.path(kind):
                yield Picture(kind, label, overlay(clean, self.read(kind, "L")))

    def classes(self) -> set[int]:
        """Return the class ids that its overlays show."""
        kinds = [kind for kind in LABELS if self.path(kind)]
        return {int(k) for kind in kinds for k in np.unique(self.read(kind, "L"))} - {255}

    def read(self, kind: str, mode: str = "RGB") -> Bytes:
        """Return the pixels of one of its PNG files.

        Raises:
            FileNotFoundError: if it has none of this kind.
        """
        path = self.path(kind)
        if path is None:
            raise FileNotFoundError(
                f"{self.folder} has no {layout.picture_name(kind)}, and neither have originals."
            )
        with whole(path), Image.open(io.BytesIO(read_checked(path)), formats=["PNG"]) as image:
            return np.asarray(image.convert(mode))


def samples(run: Path, names: Iterable[str] = ()) -> list[Sample]:
    """Return a run's gallery, sorted by attack, source and index; empty without one.

    Args:
        run: the run's folder.
        names: of the run's attacks and victims, for which folders stand.
    """
    found, known = [], names_by_folder(names)
    for path in (run / layout.GALLERY).glob(f"*/*/*/{layout.ADVERSARIAL_IMAGE}"):
        attack, source, index = path.parts[-4:-1]
        if index.isdecimal():  # else the user's own
            named = name_of(attack, known), name_of(source, known)
            found.append(Sample(*named, int(index), path.parent))
    return sorted(found, key=lambda sample: (sample.attack, sample.source, sample.index))

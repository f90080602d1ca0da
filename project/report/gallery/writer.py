"""Writing a gallery's files during a run."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from project.report.gallery.drawings import draw
from project.report.gallery.names import folder_name
from project.report.gallery.sample import Sample
from project.report.pictures import Bytes
from project.storage import layout
from project.storage.files import replace_file


@dataclass(frozen=True)
class Attacked:
    """The arrays of an adversarial image that a gallery keeps.

    Attributes:
        image: (H, W, 3).
        flow: (2, H, W) in pixels, or None.
        mask: (H, W), 255 where the image was allowed to change, or None.
        prediction: (H, W) class ids of a segmenter, or None.
    """

    image: Bytes
    flow: NDArray[Any] | None = None
    mask: Bytes | None = None
    prediction: Bytes | None = None


class GalleryKeeper:
    """Write the files of a gallery, those that attacks and sources share only once.

    Args:
        run: the folder of the run.
    """

    def __init__(self, run: Path) -> None:
        self.run = run

    def keep_clean(
        self,
        index: int,
        image: Bytes,
        target: Bytes | None = None,
        predictions: Mapping[str, Bytes] | None = None,
    ) -> None:
        """Write a clean image.

        Args:
            index: the image's stable id.
            image: (H, W, 3).
            target: (H, W) class ids, 255 = void, or None of a classifier's image.
            predictions: likewise, by the name of the source.
        """
        folder = self.run / layout.GALLERY / layout.ORIGINALS / layout.sample_name(index)
        write_png(folder / layout.picture_name("clean"), image)
        if target is not None:
            write_png(folder / layout.picture_name("target"), target)
        for source, classes in (predictions or {}).items():
            write_png(folder / layout.PREDICTIONS / f"{folder_name(source)}.png", classes)

    def keep(self, attack: str, source: str, index: int, attacked: Attacked) -> None:
        """Write an image attacked, and draw what a browser shows; the clean one is there."""
        names = folder_name(attack), folder_name(source), layout.sample_name(index)
        folder = self.run.joinpath(layout.GALLERY, *names)
        write_png(folder / layout.ADVERSARIAL_IMAGE, attacked.image)
        if attacked.mask is not None:
            write_png(folder / layout.picture_name("mask"), attacked.mask)
        if attacked.prediction is not None:
            write_png(folder / layout.picture_name("prediction_adversarial"), attacked.prediction)
        if attacked.flow is not None:
            packed = io.BytesIO()
            np.save(packed, attacked.flow)
            replace_file(folder / layout.picture_name("flow"), packed.getvalue())
        draw(Sample(attack, source, index, folder))


def write_png(path: Path, pixels: Bytes) -> None:
    """Write pixels as PNG; the file is replaced atomically.

    Args:
        path: the file.
        pixels: (H, W, 3) RGB, or (H, W) grey levels or classes.
    """
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "PNG")
    replace_file(path, encoded.getvalue())

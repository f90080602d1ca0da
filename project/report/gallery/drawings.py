"""Pictures for the browser, drawn from a sample's files and stored beside them.

Files
    thumbnail.webp               the adversarial image, small
    flow.svg, mask.svg           arrows and outline, to lie over the image at any size
    target.webp, prediction_*.webp    classes as colours, void transparent, likewise
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from project.report.gallery.arrows import arrows, outline
from project.report.gallery.sample import LABELS, Sample
from project.report.pictures import VOID, Bytes, palette
from project.report.reading import read_whole
from project.storage import layout
from project.storage.checksums import read_checked
from project.storage.files import replace_file

THUMBNAIL = 160  # pixels at most; a card of the page is as wide
KINDS = ("adversarial", "flow", "mask", *LABELS)
"""Kinds of files from which a picture is drawn."""


def draw(sample: Sample) -> None:
    """Draw the pictures of a sample that do not exist yet."""
    for kind in KINDS:
        raw = sample.path(kind)
        if raw is not None and not (drawn := drawing(raw)).is_file():
            replace_file(drawn, read_whole(raw, _DRAW.get(kind, _classes)))


def drawing(raw: Path) -> Path:
    """Return where the drawing of one of a sample's files lies."""
    if raw.name == layout.ADVERSARIAL_IMAGE:
        return raw.with_name(layout.THUMBNAIL)
    return raw.with_suffix(".svg" if raw.stem in ("flow", "mask") else ".webp")


def class_layer(labels: Bytes) -> Image.Image:
    """Return classes as opaque colours; void pixels are transparent.

    Args:
        labels: (H, W) class ids, 255 = void.
    """
    opaque = np.where(labels == VOID, 0, 255).astype(np.uint8)
    return Image.fromarray(np.dstack([palette()[labels], opaque]))


def _thumbnail(path: Path) -> bytes:
    with Image.open(io.BytesIO(read_checked(path)), formats=["PNG"]) as image:
        image.thumbnail((THUMBNAIL, THUMBNAIL))
        return _webp(image, lossless=False)


def _classes(path: Path) -> bytes:
    with Image.open(io.BytesIO(read_checked(path)), formats=["PNG"]) as image:
        return _webp(class_layer(np.asarray(image.convert("L"))), lossless=True)


def _mask(path: Path) -> bytes:
    with Image.open(io.BytesIO(read_checked(path)), formats=["PNG"]) as image:
        return outline(np.asarray(image.convert("L"))).encode()


def _flow(path: Path) -> bytes:
    return arrows(np.load(io.BytesIO(read_checked(path)))).encode()


def _webp(image: Image.Image, lossless: bool) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=80)
    return buffer.getvalue()


_DRAW: dict[str, Callable[[Path], bytes]] = {
    "adversarial": _thumbnail,
    "flow": _flow,
    "mask": _mask,
}

"""Pictures inside a page, as data URIs."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

from PIL import Image

from project.report.gallery import Picture

LARGEST_SIDE = 640  # pixels; larger pictures are shown smaller, or a page grows by tens of MB


@dataclass(frozen=True)
class Shown:
    """A picture inside the page."""

    kind: str
    label: str
    uri: str
    width: int
    height: int


def shown(picture: Picture, largest_side: int = LARGEST_SIDE) -> Shown:
    """Return a picture as it goes inside a page, at most so many pixels wide and high."""
    image = picture.image
    image.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    exact = picture.kind in ("clean", "adversarial")
    return Shown(picture.kind, picture.label, image_uri(image, exact), image.width, image.height)


def image_uri(image: Image.Image, exact: bool) -> str:
    """Return a picture as a data URI: the images themselves to the bit, what explains them lossy.

    Differences are noise, which costs several times as much without loss.
    """
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=exact, quality=80)
    return data_uri(buffer.getvalue(), "webp")


def data_uri(content: bytes, kind: str) -> str:
    """Return the bytes of a picture as a data URI.

    Args:
        content: of the file.
        kind: of picture, as its media type has it: webp, svg+xml, …
    """
    return f"data:image/{kind};base64," + base64.b64encode(content).decode()

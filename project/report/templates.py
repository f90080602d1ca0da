"""The pages' templates, and what a page embeds: style, script, pictures."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from project.report.gallery import Picture
from project.report.numbers import visible

_HERE = Path(__file__).parent
TOLD = ("command", "seeds", "data", "versions", "weights", "copies", "config")
"""Entries of run.json that every page shows unchanged."""
_POLICY = (
    "default-src 'none'; img-src data: file: 'self'; script-src 'sha256-{digest}' file: 'self'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""No network: pictures and scripts only from the page itself and the folder that it lies in."""
LARGEST_SIDE = 640  # pixels; larger pictures are shown smaller, or a page grows by tens of MB


def environment() -> Environment:
    """Return the environment of the templates, which escapes every value that it is given."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )


def _visible(value: Any) -> Any:
    """Return what a page shows of a value; texts are :func:`project.report.numbers.visible`."""
    # Markup is the package's own, or JSON, whose texts are put into elements of their own.
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def embedded(styles: Sequence[str], scripts: Sequence[str]) -> dict[str, Markup | str]:
    """Return a page's style and script, and a content security policy that allows no others.

    Args:
        styles: files of this folder.
        scripts: likewise; they share one module, and so see each other's functions.
    """
    style, script = (
        "\n".join((_HERE / name).read_text(encoding="utf-8") for name in names)
        for names in (styles, scripts)
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = _POLICY.format(digest=digest)
    # Markup, since these are files of the package: escaped, they would not work.
    return {"style": Markup(style), "script": Markup(script), "policy": policy}


@dataclass(frozen=True)
class EmbeddedPicture:
    """A picture inside the page, as a data URI, with its size in pixels."""

    kind: str
    label: str
    uri: str
    width: int
    height: int


def shown(picture: Picture, largest_side: int = LARGEST_SIDE) -> EmbeddedPicture:
    """Return a picture for the page, scaled down to at most ``largest_side`` pixels."""
    image = picture.image
    image.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    exact = picture.kind in ("clean", "adversarial")
    return EmbeddedPicture(
        picture.kind, picture.label, image_uri(image, exact), image.width, image.height
    )


def image_uri(image: Image.Image, exact: bool) -> str:
    """Return a picture as a data URI.

    Args:
        image: the picture.
        exact: lossless, for images that may be compared bit by bit. Difference pictures are noise,
            which takes several times the room without loss.
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

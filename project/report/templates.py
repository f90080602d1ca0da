"""The pages' templates, and what a page embeds: style, script, pictures."""

from __future__ import annotations

import base64
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from PIL import Image

from project.report.gallery import Picture

_HERE = Path(__file__).parent
TOLD = ("command", "seeds", "data", "versions", "weights", "copies", "config")
"""What of run.json every page shows as it is."""
_POLICY = (
    "default-src 'none'; img-src data: file: 'self'; script-src 'sha256-{digest}' file: 'self'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""No network: pictures and scripts only from the page itself and the folder that it lies in."""
LARGEST_SIDE = 640  # pixels; larger pictures are shown smaller, or a page grows by tens of MB


def environment() -> Environment:
    """Return what finds the templates; everything that they are given is escaped."""
    return Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def embedded(styles: Sequence[str], scripts: Sequence[str]) -> dict[str, Markup | str]:
    """Return what a page has inside itself, and the policy that lets nothing else in.

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
    return {"style": Markup(style), "script": Markup(script), "policy": policy}


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

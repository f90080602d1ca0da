"""The pages' templates, with the style and the script that all pages embed."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
TOLD = ("command", "seeds", "data", "versions", "weights", "copies", "config")
"""What of run.json every page shows as it is."""
_POLICY = (
    "default-src 'none'; img-src data: file: 'self'; script-src 'sha256-{digest}' file: 'self'; "
    "style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""No network: pictures and scripts only from the page itself and the folder that it lies in."""


def environment() -> Environment:
    """Return what finds the templates; everything that they are given is escaped."""
    found = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return found


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

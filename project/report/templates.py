"""The pages' templates, with the style and the script that all pages embed."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_HERE = Path(__file__).parent
TOLD = ("command", "seeds", "versions", "weights", "config")
"""What of run.json every page shows as it is."""


def environment() -> Environment:
    """Return what finds the templates; everything that they are given is escaped."""
    found = Environment(
        loader=FileSystemLoader(_HERE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.globals["style"] = Markup((_HERE / "report.css").read_text(encoding="utf-8"))
    found.globals["script"] = Markup((_HERE / "report.js").read_text(encoding="utf-8"))
    return found

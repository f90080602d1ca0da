"""The style that the report's matplotlib figures share, and how they are written as files."""

from __future__ import annotations

import io
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

STYLE: Any = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "mirage",  # the same run gives the same file
    "font.size": 8.0,
    "font.family": "sans-serif",
    "axes.titlesize": 9.0,
    "axes.titleweight": "bold",
}
"""To be set both while a figure is made and while it is saved."""
INK, QUIET, RULE = "#1c1d21", "#62646c", "#e2e2dd"
"""Colours of texts and rules: those of the page when it is light, since pictures stay white."""
CHARACTER = 0.075
"""Width in inches that is left for a character of a name."""


def picture(figure: Figure, kind: Literal["svg", "png"], title: str | None = None) -> bytes:
    """Return a figure as a file, the same bytes every time.

    Args:
        figure: made under :data:`STYLE`.
        kind: of file.
        title: of an SVG, for those who hear it read.
    """
    content = io.BytesIO()
    # Without a date, and without the version of matplotlib, a file depends on the run alone.
    metadata: dict[str, Any] = dict.fromkeys(["Date", "Creator"] if kind == "svg" else ["Software"])
    if title is not None:
        metadata["Title"] = title
    with mpl.rc_context(STYLE):
        figure.savefig(content, format=kind, dpi=150, metadata=metadata)
    return content.getvalue()

"""Vector pictures that lie over an image: a flow as arrows, and a mask's outline."""

from __future__ import annotations

import base64
import io
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from project.report.pictures import Bytes, flow_colours
from project.statistics.bootstrap import Floats

ALONG = 24  # cells along the longer side, at most
FIELD = 160  # pixels at most of the colours below the arrows


def arrows(flow: NDArray[Any]) -> str:
    """Return an SVG of arrows over the field's colours, with a scale.

    The image is cut into cells, and each shows its longest displacement as an arrow that leads from
    the pixel to where its new value comes from. All are enlarged alike, so that the longest of all
    is as long as a cell and a half; the bar at the bottom has its length.

    Args:
        flow: (2, H, W) in pixels, (dx, dy).
    """
    flow = flow.astype(np.float64)
    height, width = flow.shape[1:]
    cell = math.ceil(max(height, width) / ALONG)
    length = np.hypot(*flow)
    largest = float(length.max(initial=0.0))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}">'
        f'<image width="{width}" height="{height}" preserveAspectRatio="none" '
        f'href="{_field(flow, length, largest)}"/>'
        f'<path d="{_strokes(flow, length, cell)}" fill="none" stroke="#111" '
        f'stroke-width="{0.09 * cell:.3f}" stroke-linecap="round" stroke-linejoin="round"/>'
        f"{_bar(height, cell, largest)}</svg>"
    )


def _strokes(flow: Floats, length: Floats, cell: int) -> str:
    """Return the arrows' path; what would be shorter than a tenth of a cell is left out."""
    parts = []
    scale = 1.5 * cell / max(float(length.max(initial=0.0)), 1e-9)
    for top, left in np.ndindex(*(-(-side // cell) for side in length.shape)):
        block = length[cell * top : cell * (top + 1), cell * left : cell * (left + 1)]
        down, right = np.unravel_index(block.argmax(), block.shape)
        y, x = cell * top + int(down), cell * left + int(right)
        if scale * length[y, x] > 0.1 * cell:
            parts.append(_arrow(x + 0.5, y + 0.5, *(scale * flow[:, y, x])))
    return "".join(parts)


def _arrow(x: float, y: float, dx: float, dy: float) -> str:
    """Return a shaft from (x, y) by (dx, dy), and two barbs back from its end."""
    end = f"M{x + dx:.2f},{y + dy:.2f}"
    return (
        f"M{x:.2f},{y:.2f}l{dx:.2f},{dy:.2f}"
        f"{end}l{-0.28 * dx - 0.16 * dy:.2f},{-0.28 * dy + 0.16 * dx:.2f}"
        f"{end}l{-0.28 * dx + 0.16 * dy:.2f},{-0.28 * dy - 0.16 * dx:.2f}"
    )


def _field(flow: Floats, length: Floats, largest: float) -> str:
    """Return the directions' colours as a data URI, the more opaque the longer."""
    share = length / largest if largest else length
    full = np.divide(flow, length, out=np.zeros(flow.shape), where=length > 0)
    colours = flow_colours(full)[0]
    colours.putalpha(Image.fromarray((255 * share).round().astype(np.uint8)))
    colours.thumbnail((FIELD, FIELD))
    buffer = io.BytesIO()
    colours.save(buffer, "WEBP", quality=80)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _bar(height: int, cell: int, largest: float) -> str:
    top = height - 1.4 * cell
    return (
        f'<g transform="translate({0.4 * cell:.2f} {top:.2f}) scale({cell:.3f})">'
        '<rect width="5" height="1" rx=".2" fill="#fff" fill-opacity=".85"/>'
        '<path d="M.3.5h1.5m-.42-.24L1.8.5l-.42.24" fill="none" stroke="#111" stroke-width=".09"/>'
        f'<text x="2.1" y=".72" font-size=".64" font-family="sans-serif">{largest:.2f} px</text>'
        "</g>"
    )


def outline(mask: Bytes) -> str:
    """Return an SVG of a mask's edge, dark on light, so that it is seen on any image.

    Args:
        mask: (H, W), inside where it is at least 128.
    """
    height, width = mask.shape
    inside = np.pad(mask >= 128, 1)
    across = "".join(f"M{x},{y}h{n}" for y, x, n in _runs(inside[1:, 1:-1] ^ inside[:-1, 1:-1]))
    down = "".join(f"M{x},{y}v{n}" for x, y, n in _runs((inside[1:-1, 1:] ^ inside[1:-1, :-1]).T))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" fill="none" '
        'stroke-linecap="square"><defs><path id="edge" vector-effect="non-scaling-stroke" '
        f'd="{across}{down}"/></defs><use href="#edge" stroke="#fff" stroke-width="3"/>'
        '<use href="#edge" stroke="#000" stroke-width="1.2"/></svg>'
    )


def _runs(lines: NDArray[np.bool_]) -> list[tuple[int, int, int]]:
    """Return (line, start, length) of what is set, line by line."""
    change = np.diff(np.pad(lines, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    line, start = np.nonzero(change == 1)
    end = np.nonzero(change == -1)[1]
    return [(int(y), int(x), int(e - x)) for y, x, e in zip(line, start, end, strict=True)]

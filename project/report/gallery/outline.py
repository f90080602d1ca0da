"""The outline of a mask as a vector picture, along the edges of pixels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from project.report.pictures import Bytes


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

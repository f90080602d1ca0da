"""The loss around validation images over the epochs, as pictures of one colour scale."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from project.report.reading import whole
from project.report.templates import image_uri
from project.report.training.run import TrainingRun
from project.storage.checksums import read_checked

Plane = NDArray[np.float64]
MOST_EPOCHS = 12
_LEVELS = 10


@dataclass(frozen=True)
class Slice:
    """The mean loss of some images on their planes at one epoch.

    Attributes:
        epoch: counted from 0.
        uri: the picture, the adversarial direction to the right and the random one upwards.
        centre: the loss of the images themselves.
        highest: on the plane.
    """

    epoch: int
    uri: str
    centre: float
    highest: float


@dataclass(frozen=True)
class Slices:
    """All slices, with the number of images, the radius and the colour scale that they share."""

    shown: list[Slice]
    images: int
    eps: float
    low: float
    high: float


def slices(run: TrainingRun) -> Slices | None:
    """Return the slices of a run, the last ones where they are too many; None without any."""
    read = {epoch: _read(path) for epoch, path in list(run.slices.items())[-MOST_EPOCHS:]}
    if not read:
        return None
    planes = {epoch: plane for epoch, (plane, _, _) in read.items()}
    low, high = (float(f([f(plane) for plane in planes.values()])) for f in (np.min, np.max))
    _, images, eps = next(iter(read.values()))
    return Slices(
        shown=[
            Slice(epoch, _drawn(plane, low, high), _centre(plane), float(plane.max()))
            for epoch, plane in planes.items()
        ],
        images=images,
        eps=eps,
        low=low,
        high=high,
    )


def _read(path: Path) -> tuple[Plane, int, float]:
    with whole(path), np.load(io.BytesIO(read_checked(path))) as file:
        loss = file["loss"].astype(np.float64)
        return loss.mean(0), len(loss), float(file["eps"])


def _centre(plane: Plane) -> float:
    return float(plane[plane.shape[0] // 2, plane.shape[1] // 2])


def _drawn(plane: Plane, low: float, high: float) -> str:
    """Draw one plane, coloured from the lowest to the highest loss of all, with contours."""
    figure = Figure((2.0, 2.0), dpi=140)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    style: dict[str, Any] = {"extent": (-1, 1, -1, 1), "origin": "lower"}
    axes.imshow(
        plane.T, "YlOrRd", vmin=low, vmax=max(high, low + 1e-12), interpolation="bilinear", **style
    )
    levels = np.linspace(low, high, _LEVELS + 2)[1:-1]
    inside = levels[(levels > plane.min()) & (levels < plane.max())]
    if inside.size:
        axes.contour(plane.T, levels=inside, colors="#1c1d21", linewidths=0.6, alpha=0.6, **style)
    axes.plot(0, 0, "o", color="#1c1d21", markersize=3)
    content = io.BytesIO()
    figure.savefig(content, format="png")
    with Image.open(content, formats=["PNG"]) as picture:
        return image_uri(picture.convert("RGB"), exact=False)

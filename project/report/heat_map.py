"""The transfer matrices of all attacks as one picture, for the page, files and dashboards."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from project.report.figures import CHARACTER, QUIET, STYLE, picture
from project.report.numbers import shortened
from project.report.run import Run
from project.storage import layout
from project.storage.files import replace_file
from project.storage.rows import Measure

_COLOURS = "YlOrRd"
_CLEAN = "#eeeeea"
_ACROSS = 3  # attacks side by side
_FRAMES: Any = {1: {"linewidth": 1.8}, 2: {"linewidth": 0.9, "linestyle": "dashed"}}
_CELL, _HEAD = (0.86, 0.42), 0.95  # inches


@dataclass(frozen=True)
class HeatMapPanel:
    """One attack's transfer matrix in per cent, NaN where nothing was judged.

    Attributes:
        attack: its name.
        sources: the rows but the last, which is the clean images'.
        victims: the columns.
        heat: (sources, victims), what the colour says: the drop in mIoU in points, or the success.
        framed: (sources, victims), 1 in the white box, 2 where source and victim share a network.
        shown: (sources + 1, victims), what the cells say: the mIoU or the success; clean mIoU or
            accuracy in the last row.
    """

    attack: str
    sources: list[str]
    victims: list[str]
    heat: np.ndarray[Any, np.dtype[np.float64]]
    framed: np.ndarray[Any, np.dtype[np.int64]]
    shown: np.ndarray[Any, np.dtype[np.float64]]


def panel(run: Run, attack: str) -> HeatMapPanel:
    """Return an attack's matrix: mIoU coloured by its drop from clean, or success rates."""
    sources, victims = run.sources(attack), run.victims
    name, before = ("miou", "clean_miou")
    if run.task == "classification":
        name, before = ("asr", "clean_accuracy")
    after = _percent([[run.measure(name, attack, s, v) for v in victims] for s in sources])
    clean = _percent([[run.clean(before, victim) for victim in victims]])
    heat = clean - after if run.task == "segmentation" else after
    framed = [[1 if s == v else 0 if run.transfers(s, v) else 2 for v in victims] for s in sources]
    return HeatMapPanel(
        attack, sources, victims, heat, np.array(framed), np.concatenate([after, clean])
    )


def heat_map(run: Run) -> Figure | None:
    """Draw all attacks' matrices in one figure of one colour scale; None without any attack."""
    panels = [panel(run, attack) for attack in run.attacks]
    if not panels:
        return None
    across = min(_ACROSS, len(panels))
    down = math.ceil(len(panels) / across)
    with mpl.rc_context(STYLE):
        width, height = _size(panels)
        figure = Figure((width * across + 0.9, height * down), layout="constrained")
        grid = figure.subplots(down, across, squeeze=False)
        top = max((np.nanmax(one.heat, initial=1.0) for one in panels), default=1.0)
        for place, axes in enumerate(grid.flat):
            if place < len(panels):
                _draw(axes, panels[place], top, run.task)
            else:
                axes.set_axis_off()
        says = "drop in mIoU, points" if run.task == "segmentation" else "success, %"
        colours = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, top), _COLOURS)
        figure.colorbar(colours, ax=grid, label=says, shrink=0.8, pad=0.01)
        figure.supxlabel(_key(run), fontsize=7, color=QUIET, x=0.01, ha="left")
    return figure


def write_heat_map(figure: Figure, folder: Path) -> bytes:
    """Write transfer.svg and transfer.png, and return the former."""
    drawn = picture(figure, "svg")
    replace_file(folder / layout.HEAT_MAP, drawn)
    replace_file(folder / layout.HEAT_MAP_PNG, picture(figure, "png"))
    return drawn


def _size(panels: Sequence[HeatMapPanel]) -> tuple[float, float]:
    """Return a panel's width and height in inches, so that no name runs into the next."""
    longest = max(len(shortened(name)) for one in panels for name in (*one.sources, *one.victims))
    cell = max(_CELL[0], CHARACTER * (longest + 1))
    width = max(1.25, CHARACTER * longest) + cell * len(panels[0].victims)
    return width, _HEAD + _CELL[1] * (1 + max(len(one.sources) for one in panels))


def _key(run: Run) -> str:
    shared = "; dashed: source and victim share a network" if run.facts.get("kin") else ""
    numbers = "mIoU in %" if run.task == "segmentation" else "success in %"
    return f"rows: source, columns: victim; numbers: {numbers}; framed: white box{shared}"


def _percent(measures: list[list[Measure | None]]) -> np.ndarray[Any, np.dtype[np.float64]]:
    return 100 * np.array([[_shown(measure) for measure in row] for row in measures])


def _shown(measure: Measure | None) -> float:
    return measure.value if measure and math.isfinite(measure.value) else math.nan


def _draw(axes: Axes, one: HeatMapPanel, top: float, task: str) -> None:
    """Draw a matrix: cells coloured by heat, the clean row apart, the white box framed."""
    rows, columns = one.shown.shape
    axes.imshow(
        one.heat, _COLOURS, vmin=0, vmax=top, aspect="auto", extent=(0, columns, rows - 1, 0)
    )
    axes.add_patch(Rectangle((0, rows - 1), columns, 1, facecolor=_CLEAN))
    for row, column in np.ndindex(rows, columns):
        _write(axes, one, row, column, top)
    clean = "clean mIoU" if task == "segmentation" else "clean accuracy"
    axes.set_xlim(0, columns)
    axes.set_ylim(rows, 0)
    axes.set_title(shortened(one.attack), parse_math=False, loc="left")
    _name(axes, one, clean)


def _write(axes: Axes, one: HeatMapPanel, row: int, column: int, top: float) -> None:
    value = one.shown[row, column]
    heat = one.heat[row, column] if row < len(one.heat) else math.nan
    text = "–" if math.isnan(value) else f"{value:.1f}"
    dark = heat > 0.62 * top  # comparison with NaN is false
    colour = "white" if dark else QUIET if row == len(one.heat) else "black"
    axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", color=colour)
    if row < len(one.heat) and one.framed[row, column]:
        style = _FRAMES[int(one.framed[row, column])]
        at = (column + 0.04, row + 0.06)
        axes.add_patch(Rectangle(at, 0.92, 0.88, fill=False, edgecolor=colour, **style))


def _name(axes: Axes, one: HeatMapPanel, clean: str) -> None:
    axes.set_xticks(np.arange(len(one.victims)) + 0.5)
    axes.set_yticks(np.arange(len(one.sources) + 1) + 0.5)
    names = [(axes.set_xticklabels, one.victims), (axes.set_yticklabels, [*one.sources, clean])]
    for write, labels in names:
        write(map(shortened, labels), parse_math=False)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)

"""The frontier: a section of the page, and files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from project.report.comparison.white_box import family
from project.report.figures import picture
from project.report.frontier.families import families
from project.report.frontier.plot import description, frontier_plot
from project.report.frontier.results import FrontierResults, frontier_results
from project.report.frontier.tables import tables
from project.report.run import Run
from project.report.tables import Table, write_markdown, write_numbers
from project.report.templates import data_uri
from project.storage import layout
from project.storage.csv_file import Line, read_csv
from project.storage.files import replace_file


@dataclass(frozen=True)
class FrontierSection:
    """The section's content, which the page shows and files beside it hold.

    Attributes:
        found: the numbers.
        tables: as texts.
        picture: the plot as an SVG.
        pixels: the same as a PNG.
    """

    found: FrontierResults
    tables: list[Table]
    picture: bytes
    pixels: bytes

    @property
    def plot(self) -> str:
        """The plot as the page embeds it."""
        return data_uri(self.picture, "svg+xml")

    @property
    def description(self) -> str:
        """The plot in words."""
        return description(self.found)

    def write(self, folder: Path, command: str | None) -> None:
        """Write frontier.csv, frontier.md, frontier.svg and frontier.png.

        Args:
            folder: the run's.
            command: that made the run, for the head of frontier.md.
        """
        write_numbers(folder / layout.FRONTIER, FrontierRow._fields, _rows(self.found))
        write_markdown(folder / layout.FRONTIER_TEXT, self.tables, command)
        replace_file(folder / layout.FRONTIER_PLOT, self.picture)
        replace_file(folder / layout.FRONTIER_PNG, self.pixels)


def frontier_section(run: Run, reference: str | None = None) -> FrontierSection | None:
    """Return a run's frontier; None without a family of two budgets, or without transfer.

    Args:
        run: the run.
        reference: one of the attacks of the family that the others are tested against; None, or
            an attack of no family, is the first family.
    """
    data = families(run)
    if data is None:
        return None
    named = family(reference or "")[0]
    chosen = named if named in data.attacks else next(iter(data.attacks))
    found = frontier_results(data, chosen)
    figure = frontier_plot(found)
    title = f"Transfer against visibility of {', '.join(data.attacks)}"
    return FrontierSection(
        found=found,
        tables=tables(found),
        picture=picture(figure, "svg", title),
        pixels=picture(figure, "png"),
    )


class FrontierRow(NamedTuple):
    """One number of frontier.csv.

    Attributes:
        table: point (of one budget), best (the highest rate of a family), level (its visibility at
            a rate), level_contrast (over the reference's) or area (mean visibility minus the
            reference's, at equal rates).
        family: its name.
        attack: the budget's name, of a point.
        reference: the family that a contrast is against, else empty.
        target: the victim that judges; ``all`` where they are pooled.
        rate: transfer, miou_lost or image_iou_lost.
        level: the rate at which a visibility is told; of an area, up to which rate it is.
        metric: of visibility; empty where the value is the rate itself.
        value: unscaled; ``inf`` where the rate is never reached.
        low: lower end of the 95 % interval.
        high: upper end; ``inf`` where a fortieth of the resamples never reach the rate.
        images: that it is counted on.
        passes: of an attack per image, through its source.
        p: of the paired bootstrap test.
        p_holm: corrected for the families.
    """

    table: str
    family: str
    attack: str
    reference: str
    target: str
    rate: str
    level: float | None
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    images: int | None = None
    passes: float | None = None
    p: float | None = None
    p_holm: float | None = None


_TEXTS = {"table", "family", "attack", "reference", "target", "rate", "metric"}


def read_frontier(folder: Path) -> list[FrontierRow]:
    """Return the rows of a run's frontier.csv, none where there is no such file.

    Raises:
        InputError: if it is damaged.
    """
    path = folder / layout.FRONTIER
    return read_csv(path, FrontierRow._fields, _row) if path.is_file() else []


def _row(line: Line) -> FrontierRow:
    cells = {
        name: line[name] if name in _TEXTS else float(line[name]) if line[name] else None
        for name in FrontierRow._fields
    }
    return FrontierRow(**cells)  # type: ignore[arg-type]


def _rows(found: FrontierResults) -> Iterator[FrontierRow]:
    for row in (*_points(found), *_curves(found), *_contrasts(found)):
        yield row._replace(images=found.data.images)


def _points(found: FrontierResults) -> Iterator[FrontierRow]:
    for point in found.points:
        key = ("point", point.family, point.attack, "", point.target, point.rate, None)
        values = {"": point.reached, **point.visibility}
        for metric, value in values.items():
            row = FrontierRow(*key, metric, *value)
            yield row._replace(passes=found.data.passes[point.attack])


def _curves(found: FrontierResults) -> Iterator[FrontierRow]:
    for curve in found.curves:
        key = (curve.family, "", "", curve.target, curve.rate)
        if curve.metric == found.data.metrics[0]:  # the rate is the same whatever the metric
            yield FrontierRow("best", *key, None, "", *curve.best)
        for level, value in curve.levels.items():
            yield FrontierRow("level", *key, level, curve.metric, *value)


def _contrasts(found: FrontierResults) -> Iterator[FrontierRow]:
    for one in found.contrasts:
        table = "area" if one.level is None else "level_contrast"
        level = one.top if one.level is None else one.level
        key = (one.attack, "", found.reference, one.target, one.rate, level, one.metric)
        yield FrontierRow(table, *key, *one.effect)._replace(p=one.p, p_holm=one.corrected)

"""The comparison as files beside the report: numbers, Markdown tables and the plot."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from project.report.comparison.compare import Comparison
from project.report.comparison.pareto import Pareto
from project.report.comparison.published import PUBLISHED
from project.report.comparison.success import POOLED
from project.report.comparison.tables import Cell, Table
from project.storage.files import replace_file


class Line(NamedTuple):
    """One number of comparison.csv.

    Attributes:
        table: success, quality, quality_contrast, success_contrast or pareto.
        attack: its name.
        reference: what a contrast is against, else empty.
        victim: ``all`` where victims are pooled.
        metric: asr, only_reference and only_other, or a column of the rows.
        value: a rate, a mean or an effect; as in the rows, unscaled.
        low: lower end of the 95 % interval.
        high: upper end.
        hits: of a rate.
        pairs: of image and victim, that the value is of.
        images: different ones among them.
        p: of the paired test.
        p_holm: corrected for all tests of the table.
        published: what SSTA's paper has in its place.
    """

    table: str
    attack: str
    reference: str | None
    victim: str
    metric: str
    value: float
    low: float | None = None
    high: float | None = None
    hits: int | None = None
    pairs: int | None = None
    images: int | None = None
    p: float | None = None
    p_holm: float | None = None
    published: float | None = None


def write_numbers(path: Path, found: Comparison, plot: Pareto | None) -> None:
    """Write all numbers as CSV in long form, floats with all their digits."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(Line._fields)
    for line in [*_lines(found), *(_points(plot) if plot else ())]:
        table.writerow(["" if _missing(cell) else cell for cell in line])
    replace_file(path, text.getvalue().encode())


def write_markdown(path: Path, tables: list[Table], command: str | None) -> None:
    """Write the tables as Markdown, under the command that made the rows."""
    parts = [f"```sh\n{command}\n```\n"] if command else []
    parts += [markdown(table) for table in tables]
    replace_file(path, "\n".join(parts).encode())


def markdown(table: Table) -> str:
    """Return a table as Markdown: heading, note, rows."""
    head = [table.corner, *table.columns]
    lines = [f"### {_escaped(table.title)}", "", _escaped(table.note), "", _row(head)]
    lines.append("|---|" + "---:|" * len(table.columns))
    lines += [_row([name, *map(_text, cells)]) for name, cells in table.rows]
    return "\n".join(lines) + "\n"


def _text(cell: Cell) -> str:
    main = f"{cell.main} {cell.mark}".strip()
    return main + (f" ({'; '.join(cell.details)})" if cell.details else "")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _lines(found: Comparison) -> Iterator[Line]:
    for rate in found.successes:
        paper = PUBLISHED.get(found.methods[rate.attack]) if rate.victim == POOLED else None
        asr = Line("success", rate.attack, None, rate.victim, "asr", *rate.rate)
        yield asr._replace(
            hits=rate.hits, pairs=rate.total, published=paper.mean_asr if paper else None
        )
    images = len({pair.image for pair in found.matched})
    for one in found.qualities:
        mean = Line("quality", one.attack, None, POOLED, one.metric, *one.mean)
        yield mean._replace(pairs=one.pairs, images=images, published=one.published)
    for effect in found.quality_contrasts:
        yield Line(
            "quality_contrast",
            effect.attack,
            found.reference,
            POOLED,
            effect.metric,
            *effect.effect,
            pairs=effect.pairs,
            images=effect.images,
            p=effect.p,
            p_holm=effect.corrected,
            published=effect.published,
        )
    for odds in found.success_contrasts:
        for metric in ("only_reference", "only_other"):
            yield Line(
                "success_contrast",
                odds.attack,
                found.reference,
                odds.victim,
                metric,
                getattr(odds, metric),
                p=odds.p,
                p_holm=odds.corrected,
            )


def _points(plot: Pareto) -> Iterator[Line]:
    for found in plot.families:
        for point in found.points:
            asr = Line("pareto", point.attack, None, POOLED, "asr", *point.success)
            yield asr._replace(hits=point.pairs, pairs=found.total)
            distance = Line("pareto", point.attack, None, POOLED, plot.metric, *point.distance)
            yield distance._replace(pairs=point.pairs)


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))

"""The comparison of attacks on classifiers: a section of the page, and files beside it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from project.report.comparison.compare import Comparison, compare
from project.report.comparison.pareto import Pareto, pareto
from project.report.comparison.pareto_plot import description, pareto_plot
from project.report.comparison.published import PUBLISHED
from project.report.comparison.success import POOLED
from project.report.comparison.tables import tables
from project.report.comparison.white_box import white_box
from project.report.figures import picture
from project.report.run import Run
from project.report.tables import Table, write_markdown, write_numbers
from project.report.templates import data_uri
from project.storage import layout
from project.storage.files import replace_file


@dataclass(frozen=True)
class ComparisonSection:
    """The section's content, which the page shows and files beside it hold.

    Attributes:
        found: the numbers.
        tables: as texts.
        points: of the plot, None without a measure of visibility.
        picture: the plot as an SVG, empty likewise.
    """

    found: Comparison
    tables: list[Table]
    points: Pareto | None
    picture: bytes

    @property
    def plot(self) -> str:
        """The plot as the page embeds it: as an image, its styles and names stay its own."""
        return data_uri(self.picture, "svg+xml") if self.picture else ""

    @property
    def description(self) -> str:
        """The plot in words."""
        return description(self.points) if self.points else ""

    def write(self, folder: Path, command: str | None) -> None:
        """Write comparison.csv, comparison.md and, if there is a plot, pareto.svg.

        Args:
            folder: the run's.
            command: that made the run, for the head of comparison.md.
        """
        rows = [*_rows(self.found), *(_points(self.points) if self.points else ())]
        write_numbers(folder / layout.COMPARISON, ComparisonRow._fields, rows)
        write_markdown(folder / layout.COMPARISON_TEXT, self.tables, command)
        if self.picture:
            replace_file(folder / layout.PARETO_PLOT, self.picture)


def comparison_section(run: Run, reference: str | None = None) -> ComparisonSection | None:
    """Compare a run's attacks; None where it has fewer than two on classifiers.

    Args:
        run: the run.
        reference: the attack that the others are tested against; None is the first SSTA.

    Raises:
        ValueError: if the reference is none of the attacks.
    """
    data = white_box(run)
    if data is None:
        if reference is not None:
            raise ValueError(
                "a comparison needs at least two attacks on classifiers, and this run has "
                f"{', '.join(run.attacks) or 'none'}. Leave the reference out."
            )
        return None
    found, points = compare(data, reference), pareto(data)
    return ComparisonSection(
        found=found,
        tables=tables(found),
        points=points,
        picture=_drawn(points) if points else b"",
    )


def _drawn(points: Pareto) -> bytes:
    shown = [family.title for family in points.families if family.shown]
    return picture(pareto_plot(points), "svg", f"Success against visibility of {', '.join(shown)}")


class ComparisonRow(NamedTuple):
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


def _rows(found: Comparison) -> Iterator[ComparisonRow]:
    for rate in found.successes:
        paper = PUBLISHED.get(found.methods[rate.attack]) if rate.victim == POOLED else None
        asr = ComparisonRow("success", rate.attack, None, rate.victim, "asr", *rate.rate)
        yield asr._replace(
            hits=rate.hits, pairs=rate.total, published=paper.mean_asr if paper else None
        )
    images = found.matched_images
    for one in found.qualities:
        mean = ComparisonRow("quality", one.attack, None, POOLED, one.metric, *one.mean)
        yield mean._replace(pairs=one.pairs, images=images, published=one.published)
    for effect in found.quality_contrasts:
        yield ComparisonRow(
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
            yield ComparisonRow(
                "success_contrast",
                odds.attack,
                found.reference,
                odds.victim,
                metric,
                getattr(odds, metric),
                p=odds.p,
                p_holm=odds.corrected,
            )


def _points(plot: Pareto) -> Iterator[ComparisonRow]:
    for found in plot.families:
        for point in found.points:
            asr = ComparisonRow("pareto", point.attack, None, POOLED, "asr", *point.success)
            yield asr._replace(hits=point.pairs, pairs=found.total)
            distance = ComparisonRow(
                "pareto", point.attack, None, POOLED, plot.metric, *point.distance
            )
            yield distance._replace(pairs=point.pairs)

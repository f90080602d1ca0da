"""The comparison as the report has it: a section of the page, and files beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment
from markupsafe import Markup

from project.report.comparison.compare import Comparison, compare
from project.report.comparison.files import write_markdown, write_numbers
from project.report.comparison.pareto import Pareto, pareto
from project.report.comparison.pareto_plot import HEIGHT, WIDTH, panels
from project.report.comparison.tables import Table, tables
from project.report.comparison.white_box import white_box
from project.report.run import Run
from project.storage.files import replace_file


@dataclass(frozen=True)
class Section:
    """What is shown, and written beside the page.

    Attributes:
        found: the numbers.
        tables: as texts.
        points: of the plot, None without a measure of visibility.
        plot: the plot inside the page.
        picture: the plot as a file of its own.
    """

    found: Comparison
    tables: list[Table]
    points: Pareto | None
    plot: Markup
    picture: str

    def write(self, folder: Path, command: str | None) -> None:
        """Write comparison.csv, comparison.md and, if there is a plot, pareto.svg.

        Args:
            folder: the run's.
            command: that made the run, for the head of comparison.md.
        """
        write_numbers(folder / "comparison.csv", self.found, self.points)
        write_markdown(folder / "comparison.md", self.tables, command)
        if self.picture:
            replace_file(folder / "pareto.svg", self.picture.encode())


def comparison_section(
    run: Run, environment: Environment, reference: str | None = None
) -> Section | None:
    """Compare a run's attacks; None where it has fewer than two on classifiers.

    Args:
        run: the run.
        environment: that knows the template of the plot.
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
    return Section(
        found=found,
        tables=tables(found),
        points=points,
        plot=Markup(_drawn(points, environment, standalone=False)),
        picture=_drawn(points, environment, standalone=True),
    )


def _drawn(points: Pareto | None, environment: Environment, standalone: bool) -> str:
    """Return the plot as SVG; a file of its own needs a name space and a background."""
    if points is None:
        return ""
    return environment.get_template("comparison/pareto.svg").render(
        panels=panels(points),
        names=[family.title for family in points.families if family.shown],
        width=WIDTH,
        height=HEIGHT,
        standalone=standalone,
    )

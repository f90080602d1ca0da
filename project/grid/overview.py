"""A grid's overview: all measures in one file, and a page that links the reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from lightning.pytorch.utilities import rank_zero_only

from project.core.portable import portable
from project.grid.planning import PlannedRun
from project.report.templates import embedded, environment
from project.storage import layout
from project.storage.checksums import listing
from project.storage.csv_file import write_csv
from project.storage.files import replace_file
from project.storage.rows import Measure, read_measures, remove_path

_PAGE = Path(__file__).with_name(layout.OVERVIEW_PAGE)


@rank_zero_only
def remove_overview(folder: Path) -> None:
    """Remove the overview of an earlier run of the grid."""
    for name in (layout.OVERVIEW, layout.OVERVIEW_PAGE):
        remove_path(folder / name)


@rank_zero_only
def write_overview(
    folder: Path, title: str, runs: Sequence[PlannedRun], failures: Mapping[str, str]
) -> None:
    """Write overview.csv and index.html, and print a line per experiment.

    Args:
        folder: the grid's folder.
        title: heading of the page.
        runs: the grid's experiments.
        failures: error messages of failed experiments, by name; their folders are not read.
    """
    found = {run.name: _measures(run) for run in runs if run.name not in failures}
    states = {run.name: _state(found.get(run.name, []), failures.get(run.name)) for run in runs}
    rows = ([name, *one] for name, measures in found.items() for one in measures)
    with listing(folder, (layout.OVERVIEW, layout.OVERVIEW_PAGE)):
        write_csv(folder / layout.OVERVIEW, ["data", *Measure._fields], rows)
        page = environment().from_string(_PAGE.read_text(encoding="utf-8"))
        told = page.render(title=title, states=states, found=found, **embedded(["report.css"], []))
        replace_file(folder / layout.OVERVIEW_PAGE, told.encode())
    print()
    for run in runs:
        print(f"{run.name}: {states[run.name]}")
    print(f"overview: {folder / layout.OVERVIEW_PAGE}")


def _measures(run: PlannedRun) -> list[Measure]:
    # Facts are written last of all results: without them the experiment was killed.
    whole = all((run.folder / name).is_file() for name in (layout.MEASURES, layout.FACTS))
    return read_measures(run.folder / layout.MEASURES) if whole else []


def _state(measures: Sequence[Measure], failure: str | None) -> str:
    if failure:
        return f"failed: {portable(failure.splitlines()[0])}"
    if not measures:
        return "no results yet"
    attacked = [measure for measure in measures if measure.attack]
    names = [{getattr(one, part) for one in attacked} for part in ("attack", "source", "victim")]
    return "{} attacks × {} sources × {} victims".format(*(len(one - {""}) for one in names))

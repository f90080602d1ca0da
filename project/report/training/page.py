"""The page of a training run, put together from its parts."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from project.report.classes import class_colours
from project.report.gallery import Sample
from project.report.templates import TOLD, embedded, environment
from project.report.traces import axes
from project.report.training.charts import charts
from project.report.training.frames import films
from project.report.training.run import TrainingRun
from project.report.training.scores import best, best_table, validations
from project.report.training.slices import slices
from project.storage import layout
from project.storage.files import replace_file


def build_training_report(folder: Path) -> Path:
    """Write ``report.html`` into a training run's folder, from that folder alone.

    The page needs no network and no other file, and may be built while the run goes on.

    Args:
        folder: the run's, see :mod:`project.report.training`.

    Returns:
        The page's path.

    Raises:
        FileNotFoundError: if the folder is no training run's.
        OSError: if the page cannot be written; an older one is still there.
    """
    run = TrainingRun.read(folder)
    found, (drawn, constant) = validations(run), charts(run)
    template = environment().get_template("training/report.html")
    page = template.render(
        **embedded(("report.css",), ("scripts/copy.js", "scripts/enlarge.js")),
        title=run.facts.get("title") or "Training",
        task=f"training for {run.facts.get('task') or 'classification'}",
        facts={name: run.facts.get(name) for name in TOLD},
        counts=_counts(run, len(found)),
        notices=[],
        best=best(found),
        score="mIoU" if run.facts.get("task") == "segmentation" else "accuracy",
        tables=[table for table in (best_table(run),) if table.rows],
        charts=drawn,
        constant=constant,
        axes=axes,
        films=films(run),
        classes=class_colours(run.facts, _samples(run)),
        slices=slices(run),
    )
    path = folder / layout.REPORT
    replace_file(path, page.encode())
    return path


def _samples(run: TrainingRun) -> Iterator[Sample]:
    for kept in run.samples.values():
        yield from kept.values()


def _counts(run: TrainingRun, validated: int) -> list[str]:
    steps = 1 + max((point.step for point in run.points), default=-1)
    counted = [
        (run.facts.get("images"), "training image"),
        (run.facts.get("parameters"), "parameter"),
        (steps, "step"),
        (validated, "validation"),
    ]
    return [f"{n:,} {what}{'' if n == 1 else 's'}" for n, what in counted if n is not None]

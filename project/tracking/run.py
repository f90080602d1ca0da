"""Logging a finished run to W&B: facts, tables, pictures, checks and files."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import wandb
from lightning.pytorch.loggers import Logger

from project.report.frontier import FrontierRow, read_frontier
from project.report.masking import Finding, flagged_sentences, read_findings
from project.report.run import Run
from project.storage import layout
from project.storage.rows import Measure
from project.tracking.alerts import warn_of_masking
from project.tracking.contact_sheets import contact_sheets
from project.tracking.experiments import experiments, log_files
from project.tracking.gallery import gallery_table
from project.tracking.never_fatal import never_fatal

_FILES = (layout.CONFIG, *layout.RECORDS, *layout.SUMMARIES)
_SET = (layout.ADVERSARIAL_SET,)


@never_fatal()
def track_run(loggers: Iterable[Logger], folder: Path) -> None:
    """Log a finished run's folder: facts, tables, pictures, checks and files.

    Args:
        loggers: the trainer's loggers; only W&B's are used.
        folder: the run's folder, see :mod:`project.report`.
    """
    found = experiments(loggers)
    if not found:
        return
    run = Run.read(folder)
    shown = _tables(run) | _plots(folder) | contact_sheets(run)
    for experiment in found:
        experiment.config.update({"facts": _facts(run)}, allow_val_change=True)
        experiment.log(shown)
        log_files(experiment, "run", "evaluation", folder, _FILES)
        log_files(experiment, "adversarial", "adversarial-set", folder, _SET)
        warn_of_masking(experiment, flagged_sentences(folder))


def _tables(run: Run) -> dict[str, Any]:
    tables = {"transfer": transfer_table(run), "measures": measures_table(run)}
    if checks := read_findings(run.folder):
        tables["masking"] = findings_table(checks)
    if frontier := read_frontier(run.folder):
        tables["frontier"] = frontier_table(frontier)
    if gallery := gallery_table(run):
        tables["gallery"] = gallery
    return tables


def _plots(folder: Path) -> dict[str, wandb.Image]:
    """Return the pictures of the transfer matrices and of the frontier, if there are any."""
    names = {"transfer_heat_map": layout.HEAT_MAP_PNG, "frontier_plot": layout.FRONTIER_PNG}
    paths = {key: folder / name for key, name in names.items()}
    return {key: wandb.Image(str(path)) for key, path in paths.items() if path.is_file()}


def _facts(run: Run) -> dict[str, Any]:
    """Return run.json without the config's text, whose values W&B's config holds already."""
    return {name: value for name, value in run.facts.items() if name != "config"}


def transfer_table(run: Run) -> wandb.Table:
    """Return the transfer matrices: a row per attack and source, a column per victim.

    ASR for classification, mIoU for segmentation, in [0, 1]; the first row is the victims' clean
    accuracy or mIoU.
    """
    segmentation = run.task == "segmentation"
    metric, clean = ("miou", "clean_miou") if segmentation else ("asr", "clean_accuracy")
    rows = [
        [attack, source, *(_value(run.measure(metric, attack, source, v)) for v in run.victims)]
        for attack in run.attacks
        for source in run.sources(attack)
    ]
    before = [clean, "", *(_value(run.clean(clean, victim)) for victim in run.victims)]
    return wandb.Table(columns=["attack", "source", *run.victims], data=[before, *rows])


def measures_table(run: Run) -> wandb.Table:
    """Return metrics.csv as a table; the dashboard's heat map is drawn from it."""
    return wandb.Table(columns=list(Measure._fields), data=[list(m) for m in run.measures])


def findings_table(checks: list[Finding]) -> wandb.Table:
    """Return masking.csv as a table."""
    return wandb.Table(columns=list(Finding._fields), data=[list(one) for one in checks])


def frontier_table(rows: list[FrontierRow]) -> wandb.Table:
    """Return frontier.csv as a table."""
    return wandb.Table(columns=list(FrontierRow._fields), data=[list(row) for row in rows])


def _value(measure: Measure | None) -> float | None:
    return None if measure is None else measure.value

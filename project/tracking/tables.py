"""The tables of a run without pictures."""

from __future__ import annotations

import wandb

from project.report.masking import Finding
from project.report.run import Run
from project.storage.rows import Measure


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


def _value(measure: Measure | None) -> float | None:
    return None if measure is None else measure.value

"""The best epochs by clean and by robust validation score."""

from __future__ import annotations

from dataclasses import dataclass

from project.report.numbers import number, percent
from project.report.tables import Table, TableCell
from project.report.training.run import TrainingRun

SCORES = {
    "classification": ("val/accuracy", "val/robust_accuracy"),
    "segmentation": ("val/miou", "val/robust_miou"),
}
"""Names of the logged validation scores, on clean and on adversarial images."""


@dataclass(frozen=True)
class Validation:
    """One validation.

    Attributes:
        step: batches trained on before.
        epoch: counted from 0.
        clean: accuracy or mIoU, in [0, 1].
        robust: likewise of adversarial images; None without any.
    """

    step: int
    epoch: int
    clean: float
    robust: float | None


def validations(run: TrainingRun) -> list[Validation]:
    """Return all validations in their order."""
    clean, robust = SCORES[str(run.facts.get("task") or "classification")]
    attacked = {point.step: point.value for point in run.curve(robust)}
    return [
        Validation(point.step, point.epoch, point.value, attacked.get(point.step))
        for point in run.curve(clean)
    ]


def best(found: list[Validation]) -> dict[str, Validation]:
    """Return the best robust, the best clean and the last one; the first of equal ones."""
    named = {"last": found[-1]} if found else {}
    if found:
        named = {"best clean": max(found, key=lambda one: one.clean), **named}
    if attacked := [one for one in found if one.robust is not None]:
        named = {"best robust": max(attacked, key=lambda one: one.robust or 0.0), **named}
    return named


def best_table(run: TrainingRun) -> Table:
    """Return the best epochs as a table; without rows before the first validation."""
    losses = {point.epoch: point.value for point in run.curve("train/loss")}
    name = "mIoU" if run.facts.get("task") == "segmentation" else "accuracy"
    rows = [
        (
            kind,
            [
                TableCell(str(one.epoch)),
                TableCell(f"{one.step + 1:,}"),
                TableCell(percent(one.clean)),
                TableCell(percent(one.robust)),
                TableCell(number(losses.get(one.epoch), 4)),
            ],
        )
        for kind, one in best(validations(run)).items()
    ]
    note = (
        "Of the validation set. A checkpoint chosen by its clean score is seldom the most robust "
        "one. Epochs count from 0; the loss is the epoch's last one that was logged."
    )
    columns = ["epoch", "steps done", f"clean {name}", f"robust {name}", "training loss"]
    return Table("Best epochs", note, "validation", columns, rows)

"""W&B alerts about refused victims and about signs of masked gradients."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from lightning.pytorch.loggers import Logger

from project.tracking.experiments import experiments
from project.tracking.never_fatal import never_fatal


@never_fatal()
def refuse_victims(loggers: Iterable[Logger], reasons: str) -> None:
    """Send an alert that the victim check has ended the run before it began.

    Args:
        loggers: the trainer's loggers, which it closes as failed.
        reasons: the check's messages, a sentence per line.
    """
    for experiment in experiments(loggers):
        experiment.summary["victims/refused"] = reasons
        _alert(experiment, "A victim check failed", reasons, "ERROR")


def warn_of_masking(experiment: Any, flagged: list[str]) -> None:
    """Log the number of flagged checks, and send an alert if there are any."""
    experiment.summary["masking/flagged"] = len(flagged)
    if flagged:
        _alert(experiment, "Gradients may be masked", "\n".join(flagged), "WARN")


def _alert(experiment: Any, title: str, text: str, level: Literal["WARN", "ERROR"]) -> None:
    """Send an alert, except from an offline run, whose sync would deliver it days late."""
    if not experiment.offline:
        experiment.alert(title, text, level=level)

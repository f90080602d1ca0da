"""Telling whoever watches a run that its numbers must not be trusted, or will never come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

from lightning.pytorch.loggers import Logger

from project.tracking.experiments import experiments
from project.tracking.never_fatal import never_fatal


@never_fatal()
def refuse_victims(loggers: Iterable[Logger], reasons: str) -> None:
    """Say that the victim check has ended the run before it began.

    Args:
        loggers: of the trainer, who closes them as failed.
        reasons: what the check says, a sentence per line.
    """
    for experiment in experiments(loggers):
        experiment.summary["victims/refused"] = reasons
        _alert(experiment, "A victim check failed", reasons, "ERROR")


def warn_of_masking(experiment: Any, flagged: list[str]) -> None:
    """Put the number of flagged checks into the summary, and tell of them where there are any."""
    experiment.summary["masking/flagged"] = len(flagged)
    if flagged:
        _alert(experiment, "Gradients may be masked", "\n".join(flagged), "WARN")


def _alert(experiment: Any, title: str, text: str, level: Literal["WARN", "ERROR"]) -> None:
    """Send a message, but not of an offline run: it would come with the sync, days late."""
    if not experiment.offline:
        experiment.alert(title, text, level=level)

"""The workspace of a run's folder, not yet saved."""

from __future__ import annotations

from pathlib import Path

from project.core.errors import InputError
from project.report.run import Run
from project.report.training import TrainingRun
from project.report.training.run import is_training

try:
    import wandb_workspaces.workspaces as ws
except ImportError as error:
    raise InputError(
        "a dashboard needs the package wandb-workspaces, which is not installed. "
        "Run: pip install 'mirage-attacks[dashboards]'"
    ) from error

from project.tracking.dashboard.attacking import attack_sections
from project.tracking.dashboard.training import training_sections


def workspace(folder: Path, entity: str, project: str) -> ws.Workspace:
    """Return the dashboard for runs of one kind, built from what one of them has logged.

    Args:
        folder: of a run of ``attack.py`` or ``train.py``.
        entity: W&B user or team.
        project: W&B project.
    """
    if is_training(folder):
        name, sections = "Mirage, training", training_sections(TrainingRun.read(folder))
    else:
        name, sections = "Mirage, attacks", attack_sections(Run.read(folder), entity)
    return ws.Workspace(entity=entity, project=project, name=name, sections=sections)

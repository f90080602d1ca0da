"""The dashboard of trainings."""

from __future__ import annotations

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws

from project.report.training import TrainingRun
from project.tracking.dashboard.sweeps import parallel, training_settings

_STEP = "trainer/global_step"
_ROBUST = "robust_"


def training_sections(run: TrainingRun) -> list[ws.Section]:
    """Return the sections with scores, curves, samples and settings.

    Args:
        run: the run whose logged metrics are shown.
    """
    scores = [name for name in run.metrics if name.startswith("val/")]
    curves = [name for name in run.metrics if name not in scores]
    sections = [
        ws.Section(name="Scores", panels=_scores(scores), is_open=True),
        ws.Section(name="Curves", panels=[_line(name, [name]) for name in curves], is_open=True),
        ws.Section(name="Samples", panels=_samples(run), is_open=True),
        ws.Section(name="Sweeps", panels=_sweeps(run, scores)),
        ws.Section(name="Configs", panels=[wr.RunComparer(diff_only="split")]),
    ]
    return [section for section in sections if section.panels]


def _scores(names: list[str]) -> list[wr.Panel]:
    """Return a panel per score, with its robust counterpart in the same panel."""
    clean = dict.fromkeys(name.replace(_ROBUST, "") for name in names)
    pairs = {name: [name, name.replace("val/", f"val/{_ROBUST}")] for name in clean}
    return [_line(name, [one for one in pair if one in names]) for name, pair in pairs.items()]


def _line(title: str, names: list[str]) -> wr.LinePlot:
    return wr.LinePlot(title=title, x=_STEP, y=names)


def _samples(run: TrainingRun) -> list[wr.Panel]:
    shown = wr.MediaBrowser(title="samples", media_keys=["samples"], gallery_axis="step")
    return [shown] if run.samples else []


def _sweeps(run: TrainingRun, scores: list[str]) -> list[wr.Panel]:
    settings = training_settings(run.facts.get("config") or "")
    return [parallel("settings and scores", settings, scores)] if settings and scores else []

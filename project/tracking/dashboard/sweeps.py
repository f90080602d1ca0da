"""A sweep's parallel coordinates: settings and outcomes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr

from project.core.yaml_files import parse_yaml


def attack_settings(config: str, attack: str) -> list[str]:
    """Return the numeric settings among the arguments of an attack and its parts.

    Args:
        config: of a run, YAML.
        attack: its name in it.
    """
    attacks = ((parse_yaml(config, "the config") or {}).get("attack") or {}).get("attacks") or {}
    where = f"attack.attacks.{attack}.init_args"
    return list(_numbers((attacks.get(attack) or {}).get("init_args") or {}, where))


def training_settings(config: str) -> list[str]:
    """Return the numeric settings among the arguments of a training, its victim and its loss.

    Args:
        config: of a run, YAML.
    """
    model = (parse_yaml(config, "the config") or {}).get("model") or {}
    return list(_numbers(model.get("init_args") or {}, "model.init_args"))


def parallel(
    title: str, settings: Sequence[str], outcomes: Sequence[str]
) -> wr.ParallelCoordinatesPlot:
    """Return a panel with an axis for each setting and then for each outcome.

    Args:
        title: of the panel.
        settings: names in the config.
        outcomes: names of metrics.
    """
    of_settings = [
        wr.ParallelCoordinatesPlotColumn(wr.Config(name), display_name=name.rsplit(".", 1)[-1])
        for name in settings
    ]
    of_outcomes = [wr.ParallelCoordinatesPlotColumn(wr.SummaryMetric(name)) for name in outcomes]
    return wr.ParallelCoordinatesPlot(title=title, columns=[*of_settings, *of_outcomes])


def _numbers(values: Mapping[str, Any], where: str) -> Iterator[str]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _numbers(value, f"{where}.{name}")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield f"{where}.{name}"

"""Planning a grid's experiments, each checked before any is started."""

from __future__ import annotations

from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from jsonargparse import ArgumentParser
from lightning.pytorch.cli import LightningArgumentParser

from project.callbacks import AttackCallback
from project.cli.attack import AttackCLI, experiment
from project.cli.defaults import completed
from project.core.errors import InputError
from project.evaluation import plan_passes
from project.grid.description import Grid, Place


class PlannedRun(NamedTuple):
    """One experiment of a grid.

    Attributes:
        name: name of its data set in the grid.
        folder: folder of its results.
        arguments: its command line.
    """

    name: str
    folder: Path
    arguments: list[str]


class CheckedExperiment(AttackCLI):
    """A dry run of an experiment: arguments are parsed and the attacks are built.

    Victims and data are not, since they would be read from disk, or trained; their files are
    checked when their experiment's turn comes.
    """

    def init_parser(self, **kwargs: Any) -> LightningArgumentParser:
        """Make a parser that raises errors instead of exiting."""
        return super().init_parser(**{"exit_on_error": False, **kwargs})

    def before_instantiate_classes(self) -> None:
        """Train no missing victims."""

    def instantiate_classes(self) -> None:
        """Build the attacks, and plan the passes."""
        parser = ArgumentParser(exit_on_error=False)
        parser.add_class_arguments(AttackCallback, "attack")
        built = parser.instantiate_classes(parser.parse_object({"attack": self.config.attack}))
        chosen: AttackCallback = built.attack
        plan_passes(chosen.attacks, self.config.model.victims, chosen.sources)


def planned(grid: Grid, arguments: Sequence[str] = ()) -> list[PlannedRun]:
    """Return the experiments of a grid, in the order of its data.

    Args:
        grid: the grid.
        arguments: further arguments of every experiment; they come last, so they win.

    Raises:
        ValueError: if any experiment cannot be run; the message lists all errors.
    """
    runs, wrong = [], []
    for name, place in grid.data.items():
        try:
            run = _planned(grid, name, place, arguments)
            experiment(run.arguments, CheckedExperiment)
            runs.append(run)
        except (ArgumentError, ValueError, OSError) as error:
            wrong.append(f"{name}: {error}")
    if wrong:
        raise InputError("the grid cannot be run.\n" + "\n".join(wrong))
    return runs


def _planned(grid: Grid, name: str, place: Place, arguments: Sequence[str]) -> PlannedRun:
    folder = Path(grid.folder) / name
    sources = [] if place.sources is None else [f"--attack.sources={_written(place.sources)}"]
    own = [
        *(f"--config={config}" for config in place.configs),
        f"--attack.attacks={_written(_attacks(grid, place))}",
        *sources,
        f"--run.folder={folder}",
        f"--run.title={grid.title}, {name}",
    ]
    (line,) = completed([*own, *grid.arguments, *place.arguments, *arguments])  # attacks are named
    return PlannedRun(name, folder, line)


def _attacks(grid: Grid, place: Place) -> dict[str, Any]:
    chosen = list(grid.attacks) if place.attacks is None else place.attacks
    unknown = [family for family in chosen if family not in grid.attacks]
    if unknown:
        raise InputError(
            f"attack {', '.join(map(repr, unknown))} is not among the grid's: "
            f"{', '.join(grid.attacks)}."
        )
    found: dict[str, Any] = {}
    for family in chosen:
        found |= grid.attacks[family].members(family)
    return found


def _written(content: Mapping[str, Any] | Sequence[str]) -> str:
    """Return YAML on one line, in which fractions such as 4/255 stay as written."""
    text: str = yaml.safe_dump(content, default_flow_style=True, sort_keys=False, width=10**9)
    return text.strip()

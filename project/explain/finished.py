"""Reading a finished run's folder to explain one of its samples."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from project.core.errors import InputError
from project.core.yaml_files import read_sections
from project.evaluation import Pass
from project.report.run_rows import RunRows
from project.storage import layout
from project.storage.checksums import read_checked, read_json

_FILES = {
    layout.CONFIG: "what was attacked, on whom and how",
    layout.FACTS: "the run's versions and weights",
    layout.ROWS: "what came of each image",
}


@dataclass(frozen=True)
class FinishedRun:
    """A run's config, facts and rows, read from its folder without data and victims.

    Attributes:
        folder: the run's folder.
        config: the whole config, as ``attack.py`` wrote it.
        facts: the content of run.json.
        results: the rows, one per image × attack × source × victim.
    """

    folder: Path
    config: dict[str, Any]
    facts: dict[str, Any]
    results: RunRows

    @classmethod
    def read(cls, folder: Path) -> FinishedRun:
        """Read a run's folder.

        Raises:
            ValueError: if a required file is missing, or the config is of no experiment.
        """
        for name, tells in _FILES.items():
            if not (folder / name).is_file():
                raise InputError(
                    f"explaining a sample needs {name} ({tells}), but {folder} has none. Give the "
                    "--run.folder of an experiment that attack.py has finished."
                )
        read_checked(folder / layout.CONFIG)  # a damaged one is named before it is parsed
        config = read_sections(folder / layout.CONFIG)
        _require_experiment(config, folder / layout.CONFIG)
        return cls(
            folder,
            config,
            read_json(folder / layout.FACTS),
            RunRows.read(folder / layout.ROWS),
        )

    def chosen(self, attack: str | None, source: str | None) -> Pass:
        """Return the pass of an attack on a source; None is the first of the run.

        Raises:
            ValueError: if the run has no such attack or source.
        """
        attacking = self.config["attack"]
        sources = attacking.get("sources") or list(self.config["model"]["victims"])
        return Pass(
            _one_of("attack", list(attacking["attacks"]), attack),
            _one_of("source", sources, source),
        )

    @cached_property
    def indices(self) -> list[int]:
        """Indices of the run's samples, ascending, the order in which batches were made of them."""
        found: list[int] = self.results.indices.tolist()
        return found

    def batch(self, index: int, size: int) -> list[int]:
        """Return the samples of the batch in which a sample was attacked, itself among them."""
        start = self.indices.index(index) // size * size
        return self.indices[start : start + size]

    def rows_of(self, step: Pass, index: int) -> list[dict[str, Any]]:
        """Return each victim's row on a sample's adversarial image, the source's first.

        Raises:
            ValueError: if the run has no such sample.
        """
        if index not in self.indices:
            raise InputError(
                f"INDEX must be one of the run's {len(self.indices)} samples, got {index}. "
                f"Their ids are {_listed(self.indices)}; the column index of "
                f"{self.folder / layout.ROWS} has all."
            )
        image, names = np.array([index], np.int64), self.results.names
        rows = [
            row
            for key in self.results.groups
            if key[:2] == (step.attack, step.source)
            for row in self.results.rows(names, key, image).values()
        ]
        return sorted(rows, key=lambda row: row["victim"] != step.source)


def _require_experiment(config: dict[str, Any], path: Path) -> None:
    """Refuse a config without what a pass is made of; the rest is checked where it is built."""
    for place in ("trainer", "attack.attacks", "model.victims"):
        found: Any = config
        for key in place.split("."):
            found = found.get(key) if isinstance(found, dict) else None
        if not (found and isinstance(found, dict)):
            raise InputError(
                f"{path} must be the config of an experiment, whose {place} has names with their "
                f"settings, got {found!r:.60}. Take the one that attack.py wrote."
            )
    victims, sources = list(config["model"]["victims"]), config["attack"].get("sources") or []
    if not isinstance(sources, list) or not all(one in victims for one in sources):
        raise InputError(
            f"attack.sources in {path} must be some of its victims, "
            f"{', '.join(map(str, victims))}, got {sources!r:.60}. Take the config that attack.py "
            "wrote."
        )


def _one_of(what: str, known: list[str], wanted: str | None) -> str:
    if wanted is not None and wanted not in known:
        raise InputError(f"{what} {wanted!r} is not among the run's: {', '.join(known)}.")
    return wanted or known[0]


def _listed(indices: list[int]) -> str:
    first = ", ".join(map(str, indices[:5]))
    return first if len(indices) <= 5 else f"{first} … {indices[-1]}"

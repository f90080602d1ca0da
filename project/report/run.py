"""A finished attack run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from project.report.cells import Cells
from project.report.gallery import Sample, samples
from project.report.reading import read_facts, read_whole
from project.report.run_rows import RunRows
from project.statistics.miou import Cell, Key
from project.storage import layout
from project.storage.rows import Measure, read_measures
from project.storage.trace_groups import AttackSource, TraceGroup, TraceGroups


@dataclass(frozen=True)
class Run:
    """The files of a run.

    Attributes:
        folder: where it lies.
        facts: run.json.
        results: the rows, one per image × attack × source × victim.
        measures: data-set level numbers.
        gallery: the samples with pictures.
        cells: the counts by class, of a run of segmenters.
        traces: traces of the attacks over their steps; older runs have none.
    """

    folder: Path
    facts: dict[str, Any]
    results: RunRows
    measures: list[Measure]
    gallery: list[Sample]
    cells: Mapping[Key, Cell] = field(default_factory=dict)
    traces: Mapping[AttackSource, TraceGroup] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> Run:
        """Read a run's folder.

        Raises:
            FileNotFoundError: if a file that every run has is missing.
            InputError: if one is damaged, or no run's.
        """
        for name in (layout.ROWS, layout.MEASURES, layout.FACTS):
            if not (folder / name).is_file():
                raise FileNotFoundError(
                    f"a finished run holds {layout.ROWS}, {layout.MEASURES} and {layout.FACTS}; "
                    f"{folder} has no {name}. Give the folder that attack.py named, or let "
                    "attack.py finish."
                )
        results, steps = RunRows.read(folder / layout.ROWS), folder / layout.TRACES
        measures = read_measures(folder / layout.MEASURES)
        names = {name for one in measures for name in (one.attack, one.source) if name}
        names.update(name for attack, source, _ in results.groups for name in (attack, source))
        return cls(
            folder=folder,
            facts=read_facts(folder / layout.FACTS),
            results=results,
            measures=measures,
            gallery=samples(folder, names),
            cells=Cells(results),
            traces=read_whole(steps, TraceGroups) if steps.is_file() else {},
        )

    @property
    def task(self) -> Literal["classification", "segmentation"]:
        """The victims' task."""
        return "segmentation" if self.facts.get("task") == "segmentation" else "classification"

    @cached_property
    def attacks(self) -> list[str]:
        """Names of the attacks, in the order of metrics.csv."""
        return list(dict.fromkeys(m.attack for m in self.measures if m.attack))

    @cached_property
    def victims(self) -> list[str]:
        """Names of the victims, in the order of metrics.csv, then of the rows."""
        measured = [measure.victim for measure in self.measures if measure.victim]
        return list(dict.fromkeys([*measured, *(key[2] for key in self.results.groups)]))

    def sources(self, attack: str) -> list[str]:
        """Names of the victims that an attack was made on, in the victims' order."""
        named = {m.source for m in self.measures if m.attack == attack and m.source}
        return [v for v in self.victims if v in named] + sorted(named.difference(self.victims))

    def transfers(self, source: str, victim: str) -> bool:
        """Whether a victim shares no network with the source, as an ensemble and a member do."""
        return source != victim and victim not in (self.facts.get("kin") or {}).get(source, ())

    def measure(self, metric: str, attack: str, source: str, victim: str) -> Measure | None:
        """Return one number, None where it was not measured."""
        return self._measures.get((metric, attack, source, victim))

    def clean(self, metric: str, victim: str) -> Measure | None:
        """Return one number about clean images, None where it was not measured."""
        return self.measure(metric, "", "", victim)

    @cached_property
    def _measures(self) -> dict[tuple[str, str, str, str], Measure]:
        return {(m.metric, m.attack, m.source, m.victim): m for m in self.measures}

    @cached_property
    def white_box(self) -> list[tuple[str, str]]:
        """Every (attack, source), in order; its rows are those that the source itself judges.

        An attack that was made on a source, but never judged by it, has none.
        """
        made = [(attack, source) for attack in self.attacks for source in self.sources(attack)]
        judged = [(attack, source) for attack, source, v in self.results.groups if source == v]
        return list(dict.fromkeys([*made, *judged]))


def judged_pixels(row: Mapping[str, Any]) -> int:
    """Return how many pixels of a segmenter's row count: right when clean and predicted now."""
    told = row.get("judged_pixels")
    return (row["clean_correct_pixels"] if told is None else told) or 0

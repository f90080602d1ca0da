"""A finished attack run, read from its folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa

from project.report.gallery import Sample, samples
from project.report.reading import read_facts, read_results, read_whole
from project.statistics.miou import COLUMNS as COUNTS
from project.statistics.miou import LATER, Cell, Key, cells
from project.storage import layout
from project.storage.rows import COLUMNS, Measure, read_measures
from project.storage.traces import Trace, read_traces

Row = dict[str, Any]


@dataclass(frozen=True)
class Run:
    """The files of a run.

    Attributes:
        folder: where it lies.
        facts: run.json.
        rows: one per image × attack × source × victim, without counts by class.
        measures: data-set level numbers.
        gallery: the samples with pictures.
        cells: the counts by class, of a run of segmenters.
        traces: traces of the attacks over their steps; older runs have none.
    """

    folder: Path
    facts: dict[str, Any]
    rows: list[Row]
    measures: list[Measure]
    gallery: list[Sample]
    cells: dict[Key, Cell] = field(default_factory=dict)
    traces: list[Trace] = field(default_factory=list)

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
        table, steps = read_results(folder / layout.ROWS), folder / layout.TRACES
        measures = read_measures(folder / layout.MEASURES)
        names = {name for one in measures for name in (one.attack, one.source) if name}
        names.update(*(table[name].unique().to_pylist() for name in ("attack", "source")))
        return cls(
            folder=folder,
            facts=read_facts(folder / layout.FACTS),
            rows=table.select(
                [name for name in table.column_names if name not in COUNTS]
            ).to_pylist(),
            measures=measures,
            gallery=samples(folder, names),
            cells=_cells(table),
            traces=read_whole(steps, read_traces) if steps.is_file() else [],
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
        return list(dict.fromkeys([*measured, *(row["victim"] for row in self.rows)]))

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
    def white_box(self) -> dict[tuple[str, str], list[Row]]:
        """Rows judged by the very victim that was attacked, by (attack, source), in order."""
        found: dict[tuple[str, str], list[Row]] = {
            (attack, source): [] for attack in self.attacks for source in self.sources(attack)
        }
        for row in self.rows:
            if row["victim"] == row["source"]:
                found.setdefault((row["attack"], row["source"]), []).append(row)
        return found

    @cached_property
    def float_columns(self) -> list[str]:
        """Names of the rows' further columns that hold any number, in the file's order."""
        names = list(self.rows[0]) if self.rows else []
        return [
            name
            for name in names
            if name not in COLUMNS and any(row[name] is not None for row in self.rows)
        ]


def judged(row: Row) -> bool:
    """Return whether a classifier's row counts: right when clean, and with a prediction now."""
    return bool(row["clean_correct"]) and row["fooled"] is not None


def judged_pixels(row: Mapping[str, Any]) -> int:
    """Return the number of a segmenter's pixels that count, right when clean and predicted now."""
    told = row.get("judged_pixels")
    return (row["clean_correct_pixels"] if told is None else told) or 0


def _cells(table: pa.Table) -> dict[Key, Cell]:
    """Return the counts by class; none of classifiers' rows, and of those of older runs."""
    names = ("attack", "source", "victim", "index", "fooled_pixels", "judged_pixels")
    known = {name: _told(table, name) for name in (*names, *COUNTS)}
    if not table.num_rows or not set(known.values()) <= set(table.column_names):
        return {}
    if table[COUNTS[0]].null_count:
        return {}
    counts = {
        name: table[known[name]].combine_chunks().flatten().to_numpy().reshape(table.num_rows, -1)
        for name in COUNTS
    }
    return cells({name: table[known[name]].to_pylist() for name in names} | counts)


def _told(table: pa.Table, name: str) -> str:
    """Return the column that tells what is asked for; of older runs, the one it was then equal to.

    A run without a non-finite answer is the same whether or not those were counted.
    """
    known = name in table.column_names and not table[name].null_count
    return name if known else LATER.get(name, name)

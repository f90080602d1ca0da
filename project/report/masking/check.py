"""The result of one check on one victim, and the files of all results."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from project.report.tables import Table, TableCell, write_csv, write_markdown
from project.storage import layout

Verdict = Literal["flagged", "not checked", "passed"]
ORDER: tuple[Verdict, ...] = ("flagged", "not checked", "passed")
"""As findings are shown, what matters most first."""


class Finding(NamedTuple):
    """One line of masking.csv.

    Attributes:
        check: its name.
        victim: the victim that was attacked.
        verdict: what came of it.
        sentence: the same in words, with its figures.
        advice: what to run next; empty where the check was passed.
    """

    check: str
    victim: str
    verdict: Verdict
    sentence: str
    advice: str = ""


def write_findings(folder: Path, found: Sequence[Finding], note: str, command: str | None) -> None:
    """Write masking.csv and masking.md into a run's folder."""
    write_csv(folder / layout.MASKING, Finding._fields, found)
    rows = [
        (
            one.check,
            [
                TableCell(one.victim),
                TableCell(one.verdict),
                TableCell(one.sentence),
                TableCell(one.advice),
            ],
        )
        for one in found
    ]
    columns = ["victim", "verdict", "finding", "what to run"]
    table = Table("Can these numbers be believed?", note, "check", columns, rows)
    write_markdown(folder / layout.MASKING_TEXT, [table], command)


def read_findings(folder: Path) -> list[Finding]:
    """Read masking.csv from a run's folder; nothing where there is none."""
    path = folder / layout.MASKING
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [Finding(**line) for line in csv.DictReader(file)]  # type: ignore[arg-type]


def flagged_sentences(folder: Path) -> list[str]:
    """Return what a run's folder flags, a sentence each, for terminals and alerts."""
    return [
        f"{one.victim} may hide its gradients: {one.sentence}."
        for one in read_findings(folder)
        if one.verdict == "flagged"
    ]

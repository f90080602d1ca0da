"""The result of one check on one victim, and the files of all results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from project.report.tables import Table, TableCell, write_markdown, write_numbers
from project.storage import layout
from project.storage.csv_file import read_csv

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
    write_numbers(folder / layout.MASKING, Finding._fields, found)
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
    names = Finding._fields
    return read_csv(path, names, lambda line: Finding(*map(line.__getitem__, names)))  # type: ignore[arg-type]


def flagged_sentences(folder: Path) -> list[str]:
    """Return what a run's folder flags, a sentence each, for terminals and alerts."""
    return [
        f"{one.victim} may hide its gradients: {one.sentence}."
        for one in read_findings(folder)
        if one.verdict == "flagged"
    ]

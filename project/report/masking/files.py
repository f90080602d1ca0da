"""The findings as files beside the report."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from project.report.comparison.files import write_markdown
from project.report.comparison.tables import Cell, Table
from project.report.masking.finding import Finding
from project.storage.files import replace_file

CSV, MARKDOWN = "masking.csv", "masking.md"


def write_findings(folder: Path, found: Sequence[Finding], note: str, command: str | None) -> None:
    """Write masking.csv and masking.md into a run's folder."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(Finding._fields)
    lines.writerows(found)
    replace_file(folder / CSV, text.getvalue().encode())
    rows = [
        (one.check, [Cell(one.victim), Cell(one.verdict), Cell(one.sentence), Cell(one.advice)])
        for one in found
    ]
    columns = ["victim", "verdict", "finding", "what to run"]
    table = Table("Can these numbers be believed?", note, "check", columns, rows)
    write_markdown(folder / MARKDOWN, [table], command)


def read_findings(folder: Path) -> list[Finding]:
    """Read masking.csv from a run's folder; nothing where there is none."""
    path = folder / CSV
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

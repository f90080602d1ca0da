"""Tables of texts, for the page and for Markdown alike, and numbers as CSV."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from project.report.contrast import Winner
from project.report.numbers import number, visible
from project.storage.csv_file import write_csv
from project.storage.files import replace_file

MARKS: dict[Winner, str] = {"neither": "", "reference": "✓", "other": "✗"}
_BREAKS = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]+")
_SPECIAL = re.compile(r"[\\|`*\[\]]|~~|(?<!\w)_|_(?!\w)")


@dataclass(frozen=True)
class TableCell:
    """A number, what belongs to it, and which attack it shows to be better."""

    main: str
    details: tuple[str, ...] = ()
    winner: Winner = "neither"

    @property
    def mark(self) -> str:
        """The winner as a sign."""
        return MARKS[self.winner]


@dataclass(frozen=True)
class Table:
    """A table: ``columns`` are the headings after the first, a row is its heading and cells."""

    title: str
    note: str
    corner: str
    columns: list[str]
    rows: list[tuple[str, list[TableCell]]]


def p_value(p: float) -> str:
    """Write a p-value with three digits, the small ones as a bound."""
    return "p < 0.001" if p < 0.001 else f"p {number(p, 3)}"


def signed(value: float, digits: int) -> str:
    """Write a number with a minus sign where it has one."""
    return ("−" if value < 0 else "") + number(abs(value), digits)


def write_markdown(path: Path, tables: Iterable[Table], command: str | None) -> None:
    """Write tables as Markdown, under the command that made the rows."""
    parts = [_fenced(command)] if command else []
    parts += [markdown(table) for table in tables]
    replace_file(path, "\n".join(parts).encode())


def markdown(table: Table) -> str:
    """Return a table as Markdown: heading, note, rows."""
    head = [table.corner, *table.columns]
    lines = [f"### {_escaped(table.title)}", "", _escaped(table.note), "", _row(head)]
    lines.append("|---|" + "---:|" * len(table.columns))
    lines += [_row([name, *map(_text, cells)]) for name, cells in table.rows]
    return "\n".join(lines) + "\n"


def write_numbers(path: Path, names: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV, floats with all their digits, None and NaN as empty fields."""
    write_csv(path, names, ([None if _missing(cell) else cell for cell in row] for row in rows))


def _text(cell: TableCell) -> str:
    main = f"{cell.main} {cell.mark}".strip()
    return main + (f" ({'; '.join(cell.details)})" if cell.details else "")


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_escaped, cells)) + " |"


def _escaped(text: str) -> str:
    """Return a text that Markdown shows as it is, in one line, whatever names it holds."""
    # A bar would end the cell, HTML is passed through, and a picture's address is asked for.
    shown = _BREAKS.sub(" ", visible(text)).replace("&", "&amp;").replace("<", "&lt;")
    return _SPECIAL.sub(r"\\\g<0>", shown)


def _fenced(command: str) -> str:
    """Return a command as a block that nothing in it can end."""
    fence = "`" * max(3, *(1 + len(run) for run in re.findall("`+", command)), 0)
    return f"{fence}sh\n{command}\n{fence}\n"


def _missing(cell: object) -> bool:
    return cell is None or (isinstance(cell, float) and math.isnan(cell))

"""CSV files, as all of the package's tables are written and read.

A cell of text that a spreadsheet would take for a formula (``=HYPERLINK(…)`` as the name of an
attack or of a photo) is written behind an apostrophe, which spreadsheets show as text. Numbers stay
numbers, and :func:`read_csv` takes the apostrophe off again, so that every text comes back as it
was. Other readers, such as pandas, see the apostrophe.

Source: OWASP, "CSV Injection", for the characters; the way back is ours [ours].
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from project.core.errors import InputError
from project.storage.checksums import read_checked
from project.storage.files import replace_file

Line = Mapping[str, str]
"""A row's texts, by column."""
Made = TypeVar("Made")

# Spreadsheets that divide cells at semicolons or tabs do so inside a cell of ours too, so what
# comes after one counts as a beginning.
_BEGINNING = r"(?:^|(?<=[;\t\r\n]))"
_FORMULA = r"""'*(?:[^\S;\t\r\n]|[\x00\ufeff"])*[=+\-@＝＋－＠]"""
_CONTROL = r"^'*[\t\r\n]"
_RISK = re.compile(rf"(?:{_BEGINNING}(?={_FORMULA})|(?={_CONTROL}))")
_MARKED = re.compile(rf"(?:{_BEGINNING}'(?={_FORMULA})|^'(?='*[\t\r\n]))")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-](inf|nan)")
_END = "\r\n"


class _Appending:
    """A file of which each write is a line."""

    def __init__(self, lines: list[str]) -> None:
        self.write = lines.append


def csv_text(names: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Return a table as CSV, floats with all their digits and None as an empty field.

    Args:
        names: of the columns.
        rows: of cells, as many as there are names.
    """
    lines: list[str] = []
    # Lines end in "\n" on any machine; but told so, the csv module leaves an "\r" in a name without
    # quotes, and the line breaks there.
    table = csv.writer(_Appending(lines), lineterminator=_END)
    table.writerow(map(_marked, names))
    table.writerows(map(_marked, row) for row in rows)
    return "".join(line.removesuffix(_END) + "\n" for line in lines)


def write_csv(path: Path, names: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as :func:`csv_text` gives it; the file is replaced atomically.

    Raises:
        WriteError: if the file cannot be written.
    """
    # What is no text in UTF-8, as a file name of other bytes, is written as escapes.
    replace_file(path, csv_text(names, rows).encode("utf-8", "backslashreplace"))


def read_csv(path: Path, names: Sequence[str], made: Callable[[Line], Made]) -> list[Made]:
    """Read a table that :func:`write_csv` wrote.

    Args:
        path: the file.
        names: columns that it must have; further ones are read too.
        made: makes a row's object of its texts by column, or raises a ValueError.

    Returns:
        What was made, in the order of the rows.

    Raises:
        InputError: if it is no such table: it is no text in UTF-8, lacks a column, a line has
            more or fewer cells than the first, or a cell holds something else than it should.
    """
    try:
        with io.StringIO(read_checked(path).decode(), newline="") as file:
            lines = csv.reader(file, strict=True)
            head = [_plain(name) for name in next(lines, [])]
            if missing := [name for name in names if name not in head]:
                raise _damaged(path, f"its first line has no {', '.join(missing)}")
            found: list[Made] = []
            for cells in lines:
                if len(cells) != len(head):
                    told = f"line {lines.line_num} has {len(cells)} cells, not {len(head)}"
                    raise _damaged(path, told)
                try:
                    found.append(made(dict(zip(head, map(_plain, cells), strict=True))))
                except ValueError as error:
                    raise _damaged(path, f"line {lines.line_num} says: {error}") from error
            return found
    except (csv.Error, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, told: str) -> InputError:
    return InputError(
        f"{path} must be a table as it was written, but {told}. Was it edited or cut off? Run the "
        "command that made it again."
    )


def _marked(cell: object) -> object:
    """Return a cell that no spreadsheet runs; only texts can be formulas."""
    if cell is None:
        return ""
    if not isinstance(cell, str) or _NUMBER.fullmatch(cell):
        return cell
    return _RISK.sub("'", cell)


def _plain(cell: str) -> str:
    return _MARKED.sub("", cell)

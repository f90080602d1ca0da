"""Lists and tables of the user's in text files, whatever program wrote them.

Convention
    encoding   UTF-8; UTF-16 and UTF-32 where the file begins by saying so; else cp1252, which the
               caller accepts only where the names that it gives are those of files
    lines      counted from 1, as editors do; blanks around entries do not count
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from project.core.errors import InputError
from project.core.folders import FileError, read_regular

_MARKS = (  # of 32 bits before those of 16, which they begin with
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_GUESS = "cp1252"
_DELIMITERS = ",;\t"
_NEWLINE = re.compile(r"\r\n|\r|\n")


class Text(NamedTuple):
    """A file's text, and where its encoding is a guess: file and line, empty if it is none."""

    text: str
    guessed: str


class Line(NamedTuple):
    """An entry of a list, and its file and line for messages."""

    entry: str
    source: str


class TableRow(NamedTuple):
    """A row of a table by column, and its line."""

    cells: dict[str, str]
    line: int


class TableFile(NamedTuple):
    """The columns, the rows below them, and where the encoding is a guess; see :class:`Text`."""

    columns: tuple[str, ...]
    rows: list[TableRow]
    guessed: str


def read_text(path: Path) -> Text:
    """Return a text file's text.

    Raises:
        InputError: naming the file, and the line where it is no text.
    """
    try:
        data = read_regular(path)
    except FileError as error:
        raise InputError(f"{path}: {error}. It must be a list in a text file.") from error
    mark, encoding = next(((m, e) for m, e in _MARKS if data.startswith(m)), (b"", "utf-8"))
    guessed = ""
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        if mark:
            raise InputError(
                f"{path}: it begins as {encoding} and does not go on so. Save it as UTF-8."
            ) from error
        guessed = f"{path}, line {_line_of(data, error.start)}"
        text = _guess(data, path)
    before, nul, _ = text.partition("\0")
    if nul:
        line = len(_NEWLINE.findall(before)) + 1
        raise InputError(
            f"{path}, line {line}: holds a NUL byte, so it is no text, or UTF-16 that does not "
            "begin by saying so. Save it as UTF-8."
        )
    return Text(text, guessed)


def read_list(path: Path) -> tuple[list[Line], str]:
    """Return the lines of a list that are not blank, and where the encoding is a guess."""
    text, guessed = read_text(path)
    lines = [
        Line(line.strip(), f"{path}, line {number}")
        for number, line in enumerate(_NEWLINE.split(text), 1)
        if line.strip()
    ]
    return lines, guessed


def read_table(path: Path, wanted: Sequence[str]) -> TableFile:
    """Read a table whose first line names its columns, separated by commas, semicolons or tabs.

    Args:
        path: the file.
        wanted: columns that must be there.

    Raises:
        InputError: naming the file, and the line where it is malformed.
    """
    text, guessed = read_text(path)
    first = next((line for line in _NEWLINE.split(text) if line.strip()), "")
    delimiter = max(_DELIMITERS, key=lambda one: len({*wanted} & {*_cells(first, one)}))
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        numbered = [(reader.line_num, [cell.strip() for cell in row]) for row in reader]
    except csv.Error as error:
        raise InputError(
            f"{path}, line {reader.line_num}: is no row of a table ({error}). Correct its quotes."
        ) from error
    numbered = [(number, row) for number, row in numbered if any(row)]
    header = numbered[0][1] if numbered else []
    _check_header(path, header, wanted)
    rows = [_row(path, header, row, number) for number, row in numbered[1:]]
    if not rows:
        raise InputError(f"{path} must list at least one photo below its header, got none.")
    return TableFile(tuple(header), rows, guessed)


def require_proof(guessed: str, entries: Sequence[Line], exists: Callable[[str], bool]) -> None:
    """Check that a guessed encoding is right: accents are in names of files, which are there.

    Args:
        guessed: where the encoding is a guess; see :class:`Text`.
        entries: the names of files, with where they stand.
        exists: whether there is such a file.

    Raises:
        InputError: naming file and line.
    """
    if not guessed:
        return
    accented = [line for line in entries if not line.entry.isascii()]
    wrong = [line for line in accented if not exists(line.entry)]
    if wrong or not accented:
        raise InputError(
            f"{wrong[0].source if wrong else guessed}: accents are not written in UTF-8, and no "
            "file shows what they are. Save it as UTF-8."
        )


def _guess(data: bytes, path: Path) -> str:
    try:
        return data.decode(_GUESS)
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}, line {_line_of(data, error.start)}: is written neither in UTF-8 nor in "
            f"{_GUESS}. Save it as UTF-8."
        ) from error


def _line_of(data: bytes, place: int) -> int:
    return len(_NEWLINE.findall(data[:place].decode("latin-1"))) + 1


def _cells(line: str, delimiter: str) -> list[str]:
    return [cell.strip().strip('"') for cell in line.split(delimiter)]


def _check_header(path: Path, header: Sequence[str], wanted: Sequence[str]) -> None:
    missing = [column for column in wanted if column not in header]
    if missing:
        raise InputError(
            f"{path} must have the columns {list(wanted)}, got {list(header)}. Set file_column, "
            "label_column or split_column to the names it uses."
        )
    twice = [column for column in wanted if header.count(column) > 1]
    if twice:
        raise InputError(f"{path} must have each column once, got {twice[0]!r} twice. Rename one.")


def _row(path: Path, header: Sequence[str], cells: list[str], line: int) -> TableRow:
    if any(cells[len(header) :]):
        raise InputError(
            f"{path}, line {line}: has {len(cells)} fields where the header has {len(header)}. "
            "Put names that hold the separator in quotes."
        )
    cells += [""] * (len(header) - len(cells))
    return TableRow(dict(zip(header, cells, strict=False)), line)

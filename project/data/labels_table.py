"""Photos and their classes from a table: which file each row means, and which class it has."""

from __future__ import annotations

import posixpath
import re
import string
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple

from project.core.errors import InputError
from project.core.folders import composed
from project.data.decoding import Reading
from project.data.file_set import require_inside
from project.data.files import LabelledFile
from project.data.lists import Line, TableRow, read_table, require_proof
from project.data.pairing import Lookup

_LONGEST_SPEC = 6  # of a placeholder, as {:0>8}: a longer one may ask for a gigabyte of zeros
_NUMBER = re.compile(r"[0-9]{1,18}")


class LabelColumns(NamedTuple):
    """The names of a table's columns."""

    file: str
    label: str
    name: str
    split: str


class LabelledFiles(NamedTuple):
    """Photos with their classes, the classes' names, and what a reader should know about them."""

    files: list[LabelledFile]
    class_names: list[str]
    notices: list[str]


def read_labels(
    path: Path,
    root: Path,
    columns: LabelColumns,
    *,
    pattern: str,
    split: str | None,
    label_offset: int,
    num_classes: int,
    reading: Reading,
) -> LabelledFiles:
    """List the photos of a table's split.

    Args:
        path: the table.
        root: folder that its files are relative to.
        columns: the names of its columns.
        pattern: from the entry of the file's column to the path.
        split: only rows of this split; None: all.
        label_offset: number of the first class.
        num_classes: number of classes.
        reading: how files are read.

    Raises:
        InputError: naming file and line of what is malformed, outside of the root, or listed with
            two classes.
    """
    wanted = [columns.file, columns.label, *([] if split is None else [columns.split])]
    table = read_table(path, wanted)
    filled = FilePattern(pattern, columns.file, table.columns)
    lines = [Line(filled.path(path, row), f"{path}, line {row.line}") for row in table.rows]
    listed = ListedFiles(root, reading)
    require_proof(table.guessed, lines, listed.exists)
    entries = [
        LabelledFile(listed.file(line), row.cells[columns.label], f"{path.name}, line {row.line}")
        for line, row in zip(lines, table.rows, strict=True)
    ]
    first, again = _first_entries(entries)
    chosen = [
        place for place in first if split in (None, table.rows[place].cells.get(columns.split))
    ]
    if not chosen:
        known = sorted({row.cells[columns.split] for row in table.rows})
        raise InputError(
            f"{path} must have rows of the split {split!r}, got none; its splits are: "
            f"{', '.join(known)}. Set --data.eval_split or --data.train_split to one of them."
        )
    notices = [f"{path.name} lists {again} photos twice with one label; each counts once."]
    names = _class_names(
        [table.rows[place] for place in chosen], columns, label_offset, num_classes
    )
    return LabelledFiles([entries[place] for place in chosen], names, notices if again else [])


class FilePattern:
    """A pattern of paths such as ``images/{}.png``.

    Args:
        pattern: ``{}`` is the entry of the file's column, ``{COLUMN}`` that of another one. A
            single name that is no column stands for the file's, too.
        column: the file's column.
        columns: all columns.

    Raises:
        InputError: if the pattern has no place for the entry, or one that cannot be filled.
    """

    def __init__(self, pattern: str, column: str, columns: Collection[str]) -> None:
        self.pattern = pattern
        self.column = column
        try:
            parts = list(string.Formatter().parse(pattern))
        except ValueError as error:
            raise InputError(f"file_pattern {pattern!r} cannot be read: {error}.") from error
        fields = [(name, spec or "") for _, name, spec, _ in parts if name is not None]
        names = {name for name, _ in fields}
        unknown = names - {*columns} - {"", "0"}
        if len(names) == 1 and unknown and names.pop().isidentifier():
            self.alias = unknown.pop()
        else:
            self.alias = ""
        if not fields or unknown or any(len(spec) > _LONGEST_SPEC for _, spec in fields):
            raise InputError(
                f"file_pattern must have {{}} where the entry of {column!r} belongs, such as "
                f"'images/{{}}.png', or the name of a column in braces, got {pattern!r}; columns "
                f"are: {', '.join(columns)}."
            )

    def path(self, table: Path, row: TableRow) -> str:
        """Return the path that a row means, as it is written."""
        entry = row.cells[self.column]
        if not entry:
            raise InputError(f"{table}, line {row.line}: {self.column!r} is empty, so is no photo.")
        cells = row.cells | ({self.alias: entry} if self.alias else {})
        try:
            return string.Formatter().vformat(self.pattern, (entry,), cells)
        except (ValueError, LookupError, AttributeError, TypeError) as error:
            raise InputError(
                f"{table}, line {row.line}: file_pattern {self.pattern!r} cannot be filled with "
                f"{entry!r} ({error})."
            ) from error


class ListedFiles:
    """The files under a root that a list's entries mean.

    Args:
        root: folder that entries are relative to.
        reading: whether they may lie outside of it.
    """

    def __init__(self, root: Path, reading: Reading) -> None:
        self.root = root
        self.reading = reading
        self._lookup = Lookup(root)

    def exists(self, entry: str) -> bool:
        """Return whether an entry means a file that is there."""
        return bool(self._found(entry))

    def file(self, line: Line) -> str:
        """Return the file that an entry means; if there is none, the path that it should have.

        Raises:
            InputError: naming file and line, if it lies outside of the root or may mean two files.
        """
        require_inside(self._slashes(line.entry), self.reading, line.source)
        found = self._found(line.entry)
        if len(found) > 1:
            raise InputError(
                f"{line.source}: {line.entry!r} may mean {' and '.join(found)}. Write the whole "
                "name of the file."
            )
        return found[0] if found else self._slashes(line.entry)

    def _found(self, entry: str) -> list[str]:
        path = self._slashes(entry)
        return [path] if self._is_there(path) else self._lookup.find(path)

    def _is_there(self, path: str) -> bool:
        try:
            return (self.root / path).exists()
        except OSError:  # a name too long for any file
            return False

    def _slashes(self, entry: str) -> str:
        """Return an entry with ``/`` for Windows' separator, which a file's name may hold here."""
        path = entry
        if "\\" in entry and not self._is_there(entry):
            path = entry.replace("\\", "/")
        return path if ".." in path else posixpath.normpath(path)


def _first_entries(entries: Sequence[LabelledFile]) -> tuple[list[int], int]:
    """Return the places of the files' first entries, and how many entries repeat one of them."""
    known: dict[str, int] = {}
    for place, entry in enumerate(entries):
        first = entries[known.setdefault(composed(entry.file), place)]
        if entry.label != first.label:
            raise InputError(
                f"{entry.source}: {entry.file} has the class {entry.label}, and {first.label} in "
                f"{first.source}. A photo has one class: remove one of the lines."
            )
    return list(known.values()), len(entries) - len(known)


def _class_names(
    rows: Sequence[TableRow], columns: LabelColumns, label_offset: int, num_classes: int
) -> list[str]:
    names = [str(number) for number in range(num_classes)]
    for row in rows:
        label, name = row.cells[columns.label], row.cells.get(columns.name)
        if not name or not _NUMBER.fullmatch(label):
            continue
        number = int(label) - label_offset
        if 0 <= number < num_classes:
            names[number] = name
    return names

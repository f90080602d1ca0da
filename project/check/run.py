"""Checking the files of a run's folder."""

from __future__ import annotations

from pathlib import Path

from project.core.errors import InputError
from project.storage import layout
from project.storage.checksums import damages, read_checksums, read_json, unlisted
from project.storage.column_reader import read_through
from project.storage.history import History
from project.storage.rows import read_measures
from project.storage.seal import DamagedError

_READERS = {
    layout.FACTS: read_json,
    layout.ROWS: read_through,
    layout.MEASURES: read_measures,
    layout.TRACES: read_through,
    layout.HISTORY: History.read,
}


def check_run(folder: Path) -> tuple[int, list[str]]:
    """Compare a run's files with their checksums, and read its tables.

    Args:
        folder: the folder of an experiment, a training or a grid.

    Returns:
        The number of files compared, and a line for each damage.

    Raises:
        InputError: if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(f"RUN must be the folder of a run, got {folder}, which is none.")
    try:
        files = len(read_checksums(folder))
        faults = damages(folder)
    except DamagedError as error:
        return 0, [str(error)]
    told = {name for name in _READERS if any(f"{folder / name} is" in line for line in faults)}
    if not files:
        return 0, [
            f"{folder} has no {layout.CHECKSUMS}: its run has not ended, or an older version made "
            "it. Run its command again."
        ]
    faults += [f"{path} is not in {layout.CHECKSUMS}" for path in unlisted(folder)]
    rest = [folder / name for name in _READERS if name not in told]
    return files, faults + [line for path in rest if (line := _unreadable(path))]


def _unreadable(path: Path) -> str | None:
    """Return why a table that has the right checksum cannot be read, None if it can."""
    try:
        if path.exists():
            _READERS[path.name](path)
    except (InputError, OSError, ValueError) as error:
        return str(error)
    return None

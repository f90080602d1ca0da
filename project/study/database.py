"""A study's one file: an SQLite database with its settings, pictures, raters and answers.

The pictures are copied in when the study is made, and what the run measured of them. So neither
changes when the run is made again, and a server of the study opens no file that a request could
name.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from project.core.errors import InputError
from project.study.settings import Settings
from project.study.stimuli import Stimulus

_SYNCHRONOUS = "FULL"  # a commit survives a power cut
_SCHEMA = """
CREATE TABLE settings (json TEXT NOT NULL);
CREATE TABLE stimuli (
    image INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, attack TEXT NOT NULL, png BLOB NOT NULL,
    facts TEXT NOT NULL,                -- what the run measured of the picture, JSON by name
    PRIMARY KEY (image, kind, attack)
);
CREATE TABLE raters (
    id TEXT PRIMARY KEY,                -- anonymous, as in all results
    token TEXT NOT NULL UNIQUE,         -- a hash of what the rater's link holds
    number INTEGER UNIQUE               -- 0, 1, … in order of consent; NULL before
);
CREATE TABLE pages (
    key TEXT PRIMARY KEY,               -- opaque, in the page's form: one answer for each
    rater TEXT NOT NULL REFERENCES raters, place INTEGER NOT NULL, image INTEGER NOT NULL,
    shown_at REAL, closed_at REAL,      -- seconds of the epoch, by the server's clock
    UNIQUE (rater, place)
);
CREATE TABLE panels (
    id TEXT PRIMARY KEY,                -- opaque, in the picture's address
    page TEXT NOT NULL REFERENCES pages, slot INTEGER NOT NULL,
    kind TEXT NOT NULL, attack TEXT NOT NULL,
    judged_modified INTEGER CHECK (judged_modified IN (0, 1)),
    UNIQUE (page, slot)
);
"""


class Database:
    """An open study.

    Every operation has a connection of its own, so that threads and processes can share the file.

    Args:
        path: of the file.

    Raises:
        InputError: if there is no study.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(
                f"a study must have been made, there is no {path}. Start one with "
                "python -m project.study serve RUN."
            )
        self.path = path
        with self.reading() as connection:
            (text,) = connection.execute("SELECT json FROM settings").fetchone()
        self.settings = Settings.from_json(text)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the file."""
        with closing(_connected(self.path)) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose changes are on the disk, all or none, when the block ends."""
        with closing(_connected(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep the file open, so that its log is folded into it at the end, not every time."""
        with closing(_connected(self.path)) as connection:
            connection.execute("SELECT json FROM settings").fetchone()
            yield


def create(path: Path, settings: Settings, stimuli: Iterable[Stimulus]) -> Database:
    """Make a study; it is there as a whole or, if this is interrupted, not at all."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        unfinished = Path(folder) / path.name
        with closing(_connected(unfinished)) as connection:
            connection.executescript(_SCHEMA)
            connection.execute("BEGIN")
            connection.execute("INSERT INTO settings VALUES (?)", (settings.to_json(),))
            connection.executemany(
                "INSERT INTO stimuli VALUES (?, ?, ?, ?, ?, ?)",
                (
                    (one.image, one.name, *one.shows, one.png, json.dumps(one.facts))
                    for one in stimuli
                ),
            )
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")  # readers do not wait for writers
        for part in ("-wal", "-shm"):  # the log of a study that was deleted must not enter this one
            path.with_name(path.name + part).unlink(missing_ok=True)
        os.replace(unfinished, path)  # atomic: nobody ever opens half a study
    return Database(path)


def _connected(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, timeout=60, isolation_level=None)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection

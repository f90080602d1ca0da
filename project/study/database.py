"""A study's one file: an SQLite database with its settings, pictures, raters and answers.

The pictures are copied in when the study is made, and what the run measured of them. So neither
changes when the run is made again, and a server of the study opens no file that a request could
name.

Every answer is in that one file once it is taken, with no log beside it (SQLite's rollback journal
instead of its WAL), so a copy of the file is a copy of the study. SQLite itself would not notice a
damaged answer: settings, pictures and pages carry a hash, see :mod:`project.study.seals`.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Lock

from project.core.errors import InputError
from project.study import seals
from project.study.settings import Settings
from project.study.stimuli import Stimulus

FORMAT = 1
"""Of the file; it is raised when the tables change."""
_SYNCHRONOUS = "FULL"  # a commit survives a power cut
_PATIENCE = 10.0  # seconds to wait for whoever else writes; longer, and a rater's page hangs
_SCHEMA = """
CREATE TABLE settings (json TEXT NOT NULL, seal TEXT NOT NULL);
CREATE TABLE stimuli (
    image INTEGER NOT NULL, name TEXT NOT NULL,
    kind TEXT NOT NULL, attack TEXT NOT NULL, png BLOB NOT NULL,
    facts TEXT NOT NULL,                -- what the run measured of the picture, JSON by name
    seal TEXT NOT NULL,
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
    seal TEXT,                          -- with the page's panels
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


class StudyFileError(InputError):
    """A study's file cannot be read or written; nothing that is in it has changed."""


class Database:
    """An open study.

    Every operation has a connection of its own, so that threads and processes can share the file.

    Args:
        path: of the file.

    Raises:
        InputError: if there is no study, or its file is damaged or of another version.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(
                f"a study must have been made, there is no {path}. Start one with "
                "python -m project.study serve RUN."
            )
        self.path = path
        # Threads of a server take turns here. SQLite has no queue: who finds a file locked looks
        # again later, and among fifty raters somebody would look in vain for ten seconds.
        self._turn = Lock()
        with self.reading() as connection:
            _check_format(path, connection)
            broken = seals.broken(connection)
            if broken is not None:
                raise _damaged(path, broken)
            (text,) = connection.execute("SELECT json FROM settings").fetchone()
        try:
            self.settings = Settings.from_json(text)
        except (ValueError, TypeError, KeyError) as error:
            raise _damaged(path, f"its settings say: {error}") from error

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection that sees one state of the file."""
        with self._turn, _told(self.path), closing(_connected(self.path)) as connection:
            connection.execute("BEGIN")
            yield connection

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection whose changes are on the disk, all or none, when the block ends.

        Raises:
            StudyFileError: if they are not, as on a full disk.
        """
        with self._turn, _told(self.path), closing(_connected(self.path)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")


def create(path: Path, settings: Settings, stimuli: Iterable[Stimulus]) -> Database:
    """Make a study; it is there as a whole or, if this is interrupted, not at all."""
    with TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        unfinished = Path(folder) / path.name
        with _told(unfinished), closing(_connected(unfinished, "rwc")) as connection:
            connection.executescript(_SCHEMA)
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("BEGIN")
            text = settings.to_json()
            connection.execute("INSERT INTO settings VALUES (?, ?)", (text, seals.seal(text)))
            for one in stimuli:
                values = (one.image, one.name, *one.shows, one.png, json.dumps(one.facts))
                connection.execute(
                    "INSERT INTO stimuli VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (*values, seals.seal(*values)),
                )
            connection.execute("COMMIT")
        # What belonged to a study that was deleted must not enter this one.
        for part in ("-journal", "-wal", "-shm"):
            path.with_name(path.name + part).unlink(missing_ok=True)
        os.replace(unfinished, path)  # atomic: nobody ever opens half a study
    return Database(path)


def _connected(path: Path, mode: str = "rw") -> sqlite3.Connection:
    # Not made where it is missing: a study that was moved away while it is served is told of.
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, timeout=_PATIENCE, isolation_level=None, uri=True)
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA synchronous = {_SYNCHRONOUS}")
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


def _check_format(path: Path, connection: sqlite3.Connection) -> None:
    (known,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (made,) = connection.execute("PRAGMA user_version").fetchone()
    if known and made != FORMAT:
        raise StudyFileError(
            f"a study's file must be of format {FORMAT}, {path} is of format {made}: another "
            "version of Mirage made it, or another program. Use that version, or give a new study "
            "another name with --study. The file is as it was."
        )
    told = [row[0] for row in connection.execute("PRAGMA integrity_check(1)")]
    if not known or told != ["ok"]:
        raise _damaged(path, told[0] if known else "it is empty")


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Raise SQLite's errors of the file, the disk or another program as what to do about them."""
    try:
        yield
    except (sqlite3.IntegrityError, sqlite3.ProgrammingError):
        raise  # not the file's fault
    except sqlite3.OperationalError as error:
        told = str(error)
        for sign, remedy in _REMEDIES.items():
            if sign in told:
                raise StudyFileError(
                    f"could not use {path}: {told}. Every answer taken before is kept: {remedy}, "
                    "and do the same again."
                ) from error
        raise _damaged(path, told) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        raise _damaged(path, str(error)) from error


_REMEDIES = {
    "full": "make room on the disk",
    "readonly": "make the file and its folder writable",
    "unable to open": "see that the file and its folder are there and may be read and written",
    "locked": "end the other program that has it open, or wait",
    "disk I/O": "see whether the disk is full or broken",
}


def _damaged(path: Path, told: str) -> StudyFileError:
    return StudyFileError(
        f"{path} must be a study as it was written, but {' '.join(told.split())}. Put back a copy "
        "of the file, or give a new study another name with --study. The file is as it was."
    )

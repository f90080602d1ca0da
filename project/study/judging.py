"""Judging page by page: the server keeps the time and stores each answer before the next page.

An answer that cannot be stored, as on a full disk, is kept in memory with the time at which it
came, and stored with the next request of its rater that can be.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from project.study.clock import Clock, SteadyClock, latest
from project.study.database import Database, StudyFileError
from project.study.designs import DESIGNS
from project.study.seals import seal_page
from project.study.stimulus_kind import REFERENCE, Panel

GRACE = 2.0
"""Seconds that an answer may take to arrive after its page's time is up [ours]."""


@dataclass(frozen=True)
class OpenPage:
    """The page that a rater sees.

    Attributes:
        key: goes back with the answer.
        place: 0, 1, …
        total: pages of this rater.
        seconds_left: until it closes.
        pictures: ids of its panels, from left to right.
        after_missed: whether time ran out on the page before.
    """

    key: str
    place: int
    total: int
    seconds_left: float
    pictures: list[str]
    after_missed: bool


class _Answer(NamedTuple):
    """An answer: of which page, the form, and when it came."""

    key: str
    form: dict[str, str]
    came: float


class Judging:
    """The pages of a study's raters.

    A rater always stands at the first page that is not closed: leaving, coming back, reloading and
    the browser's back button lead there. A page's time runs from when it is first shown.

    Args:
        database: of the study.
        clock: seconds of the epoch, so that a page's time outlives a restart; None is one that
            nobody sets.
    """

    def __init__(self, database: Database, clock: Clock | None = None) -> None:
        self.database = database
        self.clock = clock or SteadyClock(latest(database))
        self.design = DESIGNS[database.settings.design]
        self._unstored: dict[str, _Answer] = {}  # by rater

    def current(self, rater: str) -> OpenPage | None:
        """Return the page to show, from now on against the clock; None where none is left."""
        if rater in self._unstored:
            self._store(rater, self._unstored[rater])
        now = self.clock()
        with self.database.writing() as connection:
            page = _first_open(connection, rater)
            if page and self._left(page, now) < -GRACE:
                _close(connection, page["key"], now)
                page = _first_open(connection, rater)
            if page is None:
                return None
            connection.execute(
                "UPDATE pages SET shown_at = coalesce(shown_at, ?) WHERE key = ?",
                (now, page["key"]),
            )
            seal_page(connection, page["key"])
            return OpenPage(
                key=page["key"],
                place=page["place"],
                total=_count(connection, rater),
                seconds_left=max(0.0, self._left(page, now)),
                pictures=[row["id"] for row in _panels(connection, page["key"])],
                after_missed=page["place"] > 0 and _missed(connection, rater, page["place"] - 1),
            )

    def answer(self, rater: str, key: str, form: Mapping[str, str]) -> None:
        """Take an answer, which is on the disk when this returns.

        The first answer stands: one to a page that is closed, or not yet shown, changes nothing.
        Nor does one that leaves pictures out, until time is up: then what is there counts. One
        that comes later closes the page without a judgement.

        Raises:
            StudyFileError: if it is not on the disk. It is kept, with the time at which it came;
                the same answer again, or :meth:`current`, stores it.
        """
        kept = self._unstored.get(rater)
        if kept is None or kept.key != key:
            kept = _Answer(key, dict(form), self.clock())
        self._store(rater, kept)

    def _store(self, rater: str, given: _Answer) -> None:
        try:
            self._write(rater, *given)
        except StudyFileError:
            self._unstored[rater] = given
            raise
        self._unstored.pop(rater, None)

    def _write(self, rater: str, key: str, form: Mapping[str, str], now: float) -> None:
        with self.database.writing() as connection:
            page = _first_open(connection, rater)
            if page is None or page["key"] != key or page["shown_at"] is None:
                return
            left = self._left(page, now)
            panels = [Panel(row["kind"], row["attack"]) for row in _panels(connection, key)]
            verdicts = self.design.verdicts(panels, form)
            missing = sum(panel != REFERENCE for panel in panels) - len(verdicts)
            if missing and left > 0:
                return
            if left >= -GRACE:
                connection.executemany(
                    "UPDATE panels SET judged_modified = ? WHERE page = ? AND slot = ?",
                    ((modified, key, slot) for slot, modified in verdicts.items()),
                )
            _close(connection, key, now)

    def picture(self, rater: str, panel: str) -> bytes | None:
        """Return a picture of a page that a rater has been shown, None for all others."""
        query = """
            SELECT panels.kind, panels.attack, pages.image
            FROM panels JOIN pages ON pages.key = panels.page
            WHERE panels.id = ? AND pages.rater = ? AND pages.shown_at IS NOT NULL
        """
        with self.database.reading() as connection:
            row = connection.execute(query, (panel, rater)).fetchone()
            if row is None:
                return None
            shows = Panel(row["kind"], row["attack"]).stimulus
            (png,) = connection.execute(
                "SELECT png FROM stimuli WHERE image = ? AND kind = ? AND attack = ?",
                (row["image"], *shows),
            ).fetchone()
        return bytes(png)

    def _left(self, page: sqlite3.Row, now: float) -> float:
        spent = 0.0 if page["shown_at"] is None else now - page["shown_at"]
        # Before it was shown: a clock was set back. Nobody gets more than a page's time.
        return self.database.settings.seconds - max(0.0, spent)


def _first_open(connection: sqlite3.Connection, rater: str) -> sqlite3.Row | None:
    query = "SELECT * FROM pages WHERE rater = ? AND closed_at IS NULL ORDER BY place LIMIT 1"
    found: sqlite3.Row | None = connection.execute(query, (rater,)).fetchone()
    return found


def _panels(connection: sqlite3.Connection, key: str) -> list[sqlite3.Row]:
    query = "SELECT * FROM panels WHERE page = ? ORDER BY slot"
    return connection.execute(query, (key,)).fetchall()


def _close(connection: sqlite3.Connection, key: str, now: float) -> None:
    connection.execute(
        "UPDATE pages SET closed_at = max(?, coalesce(shown_at, 0)) WHERE key = ?", (now, key)
    )
    seal_page(connection, key)


def _count(connection: sqlite3.Connection, rater: str) -> int:
    (count,) = connection.execute("SELECT count(*) FROM pages WHERE rater = ?", (rater,)).fetchone()
    return int(count)


def _missed(connection: sqlite3.Connection, rater: str, place: int) -> bool:
    query = """
        SELECT count(judged_modified) FROM panels JOIN pages ON pages.key = panels.page
        WHERE rater = ? AND place = ?
    """
    (judged,) = connection.execute(query, (rater, place)).fetchone()
    return not judged

"""Raters: invitation, consent, and the pages that each is assigned."""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections import Counter
from typing import NamedTuple

from project.study.assignment import Past, deal
from project.study.database import Database
from project.study.designs import DESIGNS
from project.study.seals import seal_page
from project.study.stimulus_kind import Panel


class Rater(NamedTuple):
    """Someone with a link.

    Attributes:
        id: anonymous, drawn without regard to the link.
        agreed: whether they have consented.
        done: pages behind them.
        total: pages dealt, 0 before consent.
    """

    id: str
    agreed: bool
    done: int
    total: int

    @property
    def finished(self) -> bool:
        """Whether nothing is left to judge."""
        return self.agreed and self.done == self.total


def invite(database: Database, count: int) -> list[str]:
    """Add raters, and return the tokens of their links; the study keeps only hashes of them."""
    tokens = [secrets.token_urlsafe(16) for _ in range(count)]
    with database.writing() as connection:
        connection.executemany(
            "INSERT INTO raters (id, token) VALUES (?, ?)",
            ((secrets.token_hex(4), hashed(token)) for token in tokens),
        )
    return tokens


def invited(database: Database) -> int:
    """Return how many raters were invited."""
    with database.reading() as connection:
        (count,) = connection.execute("SELECT count(*) FROM raters").fetchone()
    return int(count)


def find(database: Database, token: str) -> Rater | None:
    """Return the rater whose link holds a token, None where none does."""
    query = """
        SELECT raters.id, number IS NOT NULL AS agreed,
               count(closed_at) AS done, count(pages.key) AS total
        FROM raters LEFT JOIN pages ON pages.rater = raters.id
        WHERE token = ? GROUP BY raters.id
    """
    with database.reading() as connection:
        row = connection.execute(query, (hashed(token),)).fetchone()
    return row and Rater(row["id"], bool(row["agreed"]), row["done"], row["total"])


def consent(database: Database, rater: str) -> None:
    """Record a rater's consent and assign their pages; nothing where they had consented before.

    Pages are assigned at consent and not with the link, so that unused links leave no gaps.
    """
    settings = database.settings
    with database.writing() as connection:
        (agreed,) = connection.execute("SELECT count(number) FROM raters").fetchone()
        changed = connection.execute(
            "UPDATE raters SET number = ? WHERE id = ? AND number IS NULL", (agreed, rater)
        )
        if not changed.rowcount:
            return
        images = [
            row["image"]
            for row in connection.execute("SELECT DISTINCT image FROM stimuli ORDER BY image")
        ]
        pages = deal(agreed, _past(connection), images, DESIGNS[settings.design], settings)
        for place, page in enumerate(pages):
            key = secrets.token_urlsafe(12)
            connection.execute(
                "INSERT INTO pages (key, rater, place, image) VALUES (?, ?, ?, ?)",
                (key, rater, place, page.image),
            )
            connection.executemany(
                "INSERT INTO panels (id, page, slot, kind, attack) VALUES (?, ?, ?, ?, ?)",
                (
                    (secrets.token_urlsafe(12), key, slot, *panel)
                    for slot, panel in enumerate(page.panels)
                ),
            )
            seal_page(connection, key)


def hashed(token: str) -> str:
    """Return what a study keeps of a token; a link cannot be made from it."""
    return hashlib.sha256(token.encode()).hexdigest()


def _past(connection: sqlite3.Connection) -> Past:
    query = """
        SELECT image, kind, attack, count(*) AS times
        FROM panels JOIN pages ON pages.key = panels.page
        WHERE kind IN ('attack', 'clean') GROUP BY image, kind, attack
    """
    return Counter(
        {
            (row["image"], Panel(row["kind"], row["attack"])): row["times"]
            for row in connection.execute(query)
        }
    )

"""Hashes of what a study's file holds, by which a damaged answer or picture is noticed.

A seal is no signature: whoever can write the file can write seals too.
"""

from __future__ import annotations

import hashlib
import sqlite3


def seal(*values: object) -> str:
    """Return the hash of some values of a row, of SQLite's kinds."""
    found = hashlib.sha256()
    for value in values:
        text = value if isinstance(value, bytes) else repr(value).encode()
        found.update(b"%d " % len(text) + text)
    return found.hexdigest()


def seal_page(connection: sqlite3.Connection, key: str) -> None:
    """Seal a page with its panels, as the last change of a transaction that changes either."""
    connection.execute("UPDATE pages SET seal = ? WHERE key = ?", (_of_page(connection, key), key))


def broken(connection: sqlite3.Connection) -> str | None:
    """Return which row of a study's file does not have its seal, None where all have."""
    (rows,) = connection.execute("SELECT count(*) FROM settings").fetchone()
    if rows != 1:
        return f"it has {rows} settings"
    for text, given in connection.execute("SELECT json, seal FROM settings"):
        if seal(text) != given:
            return "its settings are damaged"
    for *values, given in connection.execute("SELECT * FROM stimuli"):
        if seal(*values) != given:
            return f"the picture {values[2]} of {values[1]!r} is damaged"
    for row in connection.execute("SELECT key, rater, place, seal FROM pages").fetchall():
        if _of_page(connection, row["key"]) != row["seal"]:
            return f"page {row['place'] + 1} of rater {row['rater']} is damaged"
    orphans = "SELECT count(*) FROM panels WHERE page NOT IN (SELECT key FROM pages)"
    if connection.execute(orphans).fetchone()[0]:
        return "pictures belong to no page"
    return None


def _of_page(connection: sqlite3.Connection, key: str) -> str:
    page = "SELECT key, rater, place, image, shown_at, closed_at FROM pages WHERE key = ?"
    panels = "SELECT * FROM panels WHERE page = ? ORDER BY slot"
    rows = [*connection.execute(page, (key,)), *connection.execute(panels, (key,))]
    return seal(*(value for row in rows for value in row))

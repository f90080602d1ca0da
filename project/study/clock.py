"""A clock for response times that nobody can set back or forward."""

from __future__ import annotations

import time
from collections.abc import Callable

from project.study.database import Database

Clock = Callable[[], float]
"""Seconds of the epoch."""


class SteadyClock:
    """Seconds of the epoch when it was made, and from then on by a clock that is never set.

    Args:
        earliest: what it says at least. A study's times go on even if the machine's clock was set
            back since the study was last served.
        wall: the machine's clock.
        elapsed: seconds that pass whatever is done to that clock.
    """

    def __init__(
        self, earliest: float = 0.0, wall: Clock = time.time, elapsed: Clock | None = None
    ) -> None:
        self._elapsed = elapsed or _since_start
        self._offset = max(wall(), earliest) - self._elapsed()

    def __call__(self) -> float:
        """Return the time."""
        return self._offset + self._elapsed()


def latest(database: Database) -> float:
    """Return the latest time that a study's file holds, 0 where it has none."""
    query = "SELECT max(max(coalesce(shown_at, 0), coalesce(closed_at, 0))) FROM pages"
    with database.reading() as connection:
        (found,) = connection.execute(query).fetchone()
    return float(found or 0.0)


def _since_start() -> float:
    # A machine that sleeps: raters' clocks go on, so this one does too, where there is such a one.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic() if clock is None else time.clock_gettime(clock)

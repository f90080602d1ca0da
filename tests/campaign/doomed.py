"""Processes that kill themselves at a step of writing.

A step is to open a file for writing, to name or remove one, to make or remove a folder, to talk to
a database. Python tells of each beforehand (audit events), whoever asks for it, so no way of
writing is forgotten. ``before`` a step nothing of it is there; in its ``middle`` a file that was
opened has half of its content.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

Where = Literal["before", "middle"]

_CHANGES = {"os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.link"}
_ALL_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC


class Steps:
    """Counts steps of writing below a folder, and ends the process at one of them.

    Args:
        folder: only what is below it counts.
        last: number of the step at which to end, from 1; 0 is never.
        where: before the step, or in its middle.
    """

    def __init__(self, folder: Path, last: int = 0, where: Where = "before") -> None:
        self.folder = f"{folder.resolve()}{os.sep}"
        self.last = last
        self.where = where
        self.count = 0
        self._half: Path | None = None
        self._lock = threading.RLock()
        self._inside = False

    def watch(self) -> Steps:
        """Begin to count; there is no end to it but the process's."""
        connect = sqlite3.connect
        sqlite3.connect = lambda *given, **more: connect(  # type: ignore[assignment]
            *given, **{"factory": _counting(self), **more}
        )
        sys.addaudithook(self._told)
        return self

    def step(self, path: Path | None) -> None:
        """Count a step, and end the process if it is the one."""
        with self._lock:
            self.count += 1
            if self._half is not None:
                self._end(self._half)
            if self.count == self.last:
                if self.where == "before" or path is None:
                    self._end(None)
                self._half = path  # before the next step it will have been written

    def _told(self, event: str, given: tuple[Any, ...]) -> None:
        if self._inside or not (event == "open" or event in _CHANGES):
            return
        with self._lock:
            self._inside = True  # resolving a path is no step
            try:
                path = self._written(event, given)
            finally:
                self._inside = False
            if path is not None:
                self.step(path if event == "open" else None)

    def _written(self, event: str, given: tuple[Any, ...]) -> Path | None:
        """Return the path of a step, None for what does not count."""
        name = given[1] if event == "os.rename" else given[0]
        if event == "open" and not (isinstance(given[2], int) and given[2] & _ALL_WRITES):
            return None
        if not isinstance(name, str | os.PathLike):
            return None  # an open file, which was counted when it was opened
        path = Path(os.path.abspath(name))
        return path if str(path).startswith(self.folder) else None

    def _end(self, half: Path | None) -> None:
        if half is not None and half.is_file():
            self._inside = True
            os.truncate(half, half.stat().st_size // 2)
        os.kill(os.getpid(), signal.SIGKILL)


def _counting(steps: Steps) -> type[sqlite3.Connection]:
    class Counted(sqlite3.Connection):
        """A connection each of whose statements is a step."""

        def execute(self, *given: Any) -> sqlite3.Cursor:
            steps.step(None)
            return super().execute(*given)

        def executemany(self, *given: Any) -> sqlite3.Cursor:
            steps.step(None)
            return super().executemany(*given)

    return Counted


def forked(work: Callable[[], None], folder: Path, said: Path, **variables: str) -> int:
    """Fork a process that does some work in a folder, and return its id.

    Its exit status is 0 where the work ended, 1 after an error; what it says is added to a file.
    """
    child = os.fork()
    if child:
        return child
    status = 1
    try:
        os.chdir(folder)
        os.environ.update(variables)
        with said.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        work()
        status = 0
    except BaseException:  # a child must never return into the campaign
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)

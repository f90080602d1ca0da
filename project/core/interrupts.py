"""Ending on Ctrl-C: with status 130, as shells count it, and one line of what is kept."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

STATUS = 128 + signal.SIGINT
PATIENCE = 10.0
"""Seconds in which a process should have ended by itself, before it is ended."""


@contextmanager
def interruptible(kept: str, patience: float = PATIENCE) -> Iterator[None]:
    """End with status 130 and one line on Ctrl-C, whatever the process waits for.

    A terminal sends Ctrl-C to every process of the run. The first of several on a machine answers
    it and ends the others; those leave it to the first, and say nothing.

    Args:
        kept: what is kept, and how to go on.
        patience: seconds after which the process is ended though it is still busy, such as blocked
            in a collective, where Python cannot raise anything.

    Raises:
        SystemExit: with status 130, on Ctrl-C.
    """
    line = f"stopped by Ctrl-C. {kept}"
    ended = threading.Event()
    try:
        with _heard(line, ended, patience):
            yield
    except (KeyboardInterrupt, SystemExit) as error:
        ended.set()
        # Lightning, as others do, ends with a status of its own once it has tidied up.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, KeyboardInterrupt):
            raise
        _say(line)
        sys.exit(STATUS)


@contextmanager
def _heard(line: str, ended: threading.Event, patience: float) -> Iterator[None]:
    """Hear Ctrl-C by a thread too, which no computation blocks."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # whoever has set another handler, such as a notebook, knows better
        return
    if os.environ.get("LOCAL_RANK", "0") != "0":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        return
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    before = signal.set_wakeup_fd(writer.fileno(), warn_on_full_buffer=False)
    threading.Thread(target=_listen, args=(reader, line, ended, patience), daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        writer.close()  # the thread ends


def _listen(reader: socket.socket, line: str, ended: threading.Event, patience: float) -> None:
    with reader:
        while heard := reader.recv(1):
            if heard[0] != signal.SIGINT:
                continue
            if not ended.wait(patience):
                _say(line)
                os._exit(STATUS)
            return


def _say(line: str) -> None:
    print(f"\n{line}", file=sys.stderr, flush=True)

"""Ending a run at once on SIGTERM or SIGUSR1, and with the process that started it."""

from __future__ import annotations

import os
import platform
import signal
import threading
import time

import lightning as L

from project.evaluation.distributed import all_gather

_LOOK = 1.0  # seconds between two checks of the parent


class EndingAtOnce(L.Callback):
    """Restores the default action of SIGTERM and SIGUSR1, which ends an experiment at once.

    Lightning's own handlers finish the batch first, which may take longer than the system grants,
    and exit with status 0, as if all were done; a rank blocked in a collective never reaches the
    handler; and under SLURM they ignore SIGTERM and answer SIGUSR1 with a checkpoint of the
    victims. An experiment needs none of it: the store is consistent at every instant, and the same
    command goes on from there. So the system's default is restored: the process ends at once, and
    its exit status, 128 + 15 or 128 + 10 as shells count, tells whoever requeues that it was
    stopped.

    A rank that was started by another rank of the run ends when that one does.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Watch the parent process, if it is a rank of this run."""
        parent = os.getppid()
        # A launcher such as torchrun or SLURM ends its ranks itself; a rank as parent does not. A
        # number names a process on its machine, and in its container, only.
        if (_machine(), parent) in all_gather((_machine(), os.getpid())):
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Replace the handlers that Lightning has set just before by the system's default."""
        # Python allows signal handlers to be set in the main thread only.
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, signal.SIG_DFL)


def _machine() -> str:
    """Return what tells this machine and container from others that take part."""
    try:
        container = os.readlink("/proc/self/ns/pid")
    except OSError:  # no Linux
        container = ""
    return f"{platform.node()} {container}"


def _end_with(parent: int) -> None:
    while os.getppid() == parent:  # the system gives an orphan another parent
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGKILL)  # even if it is blocked in a collective

"""Ending a run at once when the system asks for it."""

from __future__ import annotations

import os
import signal
import threading
import time

import lightning as L

from project.evaluation.distributed import all_gather

_LOOK = 1.0  # seconds between two looks at the parent


class EndingAtOnce(L.Callback):
    """Let SIGTERM and SIGUSR1 end an experiment as they end any program.

    Lightning's own handlers finish the batch first, which may take longer than the system grants,
    and exit with status 0, as if all were done; a rank blocked in a collective never reaches the
    handler; and under SLURM they ignore SIGTERM and answer SIGUSR1 with a checkpoint of the
    victims. An experiment needs none of it: the store is whole at every instant, and the same
    command goes on from there. So the system's default is restored: the process is gone, and its
    exit status, 128 + 15 or 128 + 10 as shells count, tells whoever requeues that it was stopped.

    A process that another one of the run has started ends with it.
    """

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Watch the parent, if it is one of the run's processes."""
        parent = os.getppid()
        if parent in all_gather(os.getpid()):
            threading.Thread(target=_end_with, args=(parent,), daemon=True).start()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Put the default in the place of the handlers that Lightning has set just before."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGUSR1):
                signal.signal(number, signal.SIG_DFL)


def _end_with(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK)
    os.kill(os.getpid(), signal.SIGKILL)  # whatever it is waiting for

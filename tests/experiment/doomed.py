"""Experiments for processes that are to be stopped, or to kill themselves at an instant."""

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from project.attacks import FGSM, PGD, AttackResult
from tests.experiment.scene import attacks, run, victims
from tests.processes import PATIENCE


def experiment(folder: Path, store: Path | None = None) -> None:
    """Run the small experiment to its end."""
    run(folder, victims=victims(), attacks=attacks(), store=store)


def killed_at(folder: Path, instant: int) -> None:
    """Run the experiment until so many steps of writing files have been begun, and no further.

    A step is to open, to flush, to name a file; whatever was to be flushed is only half there.
    """
    count, lock = 0, threading.Lock()

    def doomed(work: Callable) -> Callable:
        def counted(*arguments, **more):
            nonlocal count
            with lock:
                count += 1
                if count == instant:
                    if work is fsync:
                        os.ftruncate(arguments[0], os.fstat(arguments[0]).st_size // 2)
                    os.kill(os.getpid(), signal.SIGKILL)
            return work(*arguments, **more)

        return counted

    fsync = os.fsync
    os.fdopen, os.fsync, os.replace = doomed(os.fdopen), doomed(fsync), doomed(os.replace)
    experiment(folder)


def stuck_at(folder: Path, name: str) -> None:
    """Run the experiment on a disk that does not answer when a file is to be named so."""
    replace = os.replace

    def stuck(source, target):
        if Path(target).name.startswith(name):
            time.sleep(2 * PATIENCE)
        replace(source, target)

    os.replace = stuck
    experiment(folder)


def other_experiment(folder: Path, store: Path) -> None:
    """Run one of the attacks with another budget, under the same name."""
    run(folder, victims=victims(), attacks={"pgd": PGD(5 / 255, steps=3)}, store=store)


class Patient(FGSM):
    """FGSM that begins with later images than the first four when the file ``wait`` is gone."""

    def run(self, *arguments: Any, **more: Any) -> AttackResult:
        """Wait, then attack."""
        while arguments[3].max() > 3 and Path("wait").exists():
            time.sleep(0.1)
        return super().run(*arguments, **more)

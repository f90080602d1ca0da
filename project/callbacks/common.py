"""Helpers of attack.py's and train.py's callbacks: finding each other, folders, versions."""

from __future__ import annotations

import platform
from importlib.metadata import version
from pathlib import Path
from typing import TypeVar

import lightning as L

from project.core.errors import InputError
from project.evaluation.distributed import all_gather
from project.storage.lock import lock

Found = TypeVar("Found", bound=L.Callback)


def callbacks_of(trainer: L.Trainer, kind: type[Found]) -> list[Found]:
    """Return the trainer's callbacks of a kind."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return [one for one in callbacks if isinstance(one, kind)]


def first_callback(trainer: L.Trainer, kind: type[Found]) -> Found | None:
    """Return the trainer's first callback of a kind, None if it has none."""
    return next(iter(callbacks_of(trainer, kind)), None)


def require_folder(name: str, folder: str, given: str) -> None:
    """Refuse an empty folder name, which would mean the current folder, to be cleared.

    Args:
        name: the argument's name, for the message.
        folder: the folder's name after environment variables were expanded.
        given: the folder's name as the user wrote it.

    Raises:
        ValueError: if the folder's name is empty.
    """
    if not folder:
        raise InputError(
            f"{name} must name a folder, got {given!r}. Is a variable of the shell empty? Give a "
            "path, or leave it out."
        )


def lock_for_all(trainer: L.Trainer, folder: Path) -> None:
    """Lock a folder for a run of one or many ranks, of which the first holds the lock.

    A collective: every rank must call it.

    Raises:
        InputError: on every rank, if another run writes into the folder, or nobody can.
    """
    told = ""
    if trainer.is_global_zero:
        try:
            lock(folder)
        except InputError as error:
            told = str(error)
    told = all_gather(told)[0]
    if told:
        raise InputError(told)


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of installed packages, by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}

"""Finding a callback among those of a trainer."""

from __future__ import annotations

from typing import TypeVar

import lightning as L

Found = TypeVar("Found", bound=L.Callback)


def callbacks_of(trainer: L.Trainer, kind: type[Found]) -> list[Found]:
    """Return the trainer's callbacks of a kind."""
    callbacks = trainer.callbacks  # type: ignore[attr-defined]
    return [one for one in callbacks if isinstance(one, kind)]


def first_callback(trainer: L.Trainer, kind: type[Found]) -> Found | None:
    """Return the trainer's first callback of a kind, None if it has none."""
    return next(iter(callbacks_of(trainer, kind)), None)

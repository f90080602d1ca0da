"""Keep a run alive when its tracking fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch.utilities import rank_zero_warn


@contextmanager
def never_fatal() -> Iterator[None]:
    """Turn any error of W&B's into a warning: a full disk, a lost helper process, a bad answer.

    So tracking never costs a run its results: everything tracked is in the run's folder too, or
    will be.
    """
    try:
        yield
    except Exception as error:  # a helper process, files and a network fail in many ways
        rank_zero_warn(
            f"Weights & Biases failed ({type(error).__name__}: {error}). The run goes on without "
            "it: all that it finds is kept in its own folder.",
            category=UserWarning,
        )

"""The error raised for bad input, and how scripts print it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """The user's input cannot be used.

    The message says what must hold, what was given, and what to do.
    """


@contextmanager
def plain_errors() -> Iterator[None]:
    """End a script with the message alone, no traceback, where the input or machine is at fault."""
    try:
        yield
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        sys.exit(f"error: {told}")


def _told(error: BaseException) -> str | None:
    """Return the message for an error that the code did not cause; None for one it may have."""
    if isinstance(error, FileNotFoundError):
        return str(error)
    if "DataLoader worker (pid" in str(error):
        return (
            f"{error}\nA process that loads data has died, most often for want of memory. Free "
            "some or set --data.num_workers lower, and run the same command: what is stored is "
            "not lost."
        )
    # Where a config may name one of several kinds, jsonargparse raises its own error from ours.
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return None if cause is None else str(cause)

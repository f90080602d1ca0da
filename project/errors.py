"""The error of bad input, and how scripts show it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """What the user gave cannot be used.

    The message says what must hold, what came, and what to do.
    """


@contextmanager
def plain_errors() -> Iterator[None]:
    """End a script with the message alone where the input is at fault, not the code."""
    try:
        yield
    except (InputError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")

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
    """End a script with the message alone where the input or the machine is at fault."""
    try:
        yield
    except (InputError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
    except RuntimeError as error:
        if "DataLoader worker (pid" not in str(error):
            raise
        sys.exit(
            f"error: {error}\nA process that loads data has died, most often for want of memory. "
            "Free some or set --data.num_workers lower, and run the same command: what is stored "
            "is not lost."
        )

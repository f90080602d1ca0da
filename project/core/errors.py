"""The error raised for bad input, and how scripts print it."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class InputError(ValueError):
    """The user's input cannot be used.

    The message says what must hold, what was given, and what to do.
    """


_NO_MEMORY = (
    "DefaultCPUAllocator",  # torch on CPUs: a RuntimeError like any other
    "out of memory",
    "Cannot allocate memory",
    "Unable to allocate",
    "ALLOC_FAILED",  # cuBLAS, cuDNN
)


def out_of_memory(error: BaseException) -> bool:
    """Return whether an error, or what caused it, says that memory ran out.

    Whoever catches many kinds of errors and gives them a cause of its own must let these pass.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, MemoryError) or any(told in str(seen) for told in _NO_MEMORY):
            return True
        seen = seen.__cause__
    return False


def let_memory_errors_pass(error: BaseException) -> None:
    """Raise an error again if memory ran out; do nothing otherwise."""
    if out_of_memory(error):
        raise error


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
    if out_of_memory(error):
        first = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        return (
            f"memory ran out ({first}). Attack fewer images at a time (--attack.max_batch; python "
            "-m project.largest_batch finds how many), or set --data.batch_size lower, and run the "
            "same command: what is stored is not lost."
        )
    # Where a config may name one of several kinds, jsonargparse raises its own error from ours.
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        cause = cause.__cause__
    return None if cause is None else str(cause)

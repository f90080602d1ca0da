"""The error raised for bad input, and how scripts print it."""

import errno
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from project.core.interrupts import interruptible

_SHOWN = 120  # characters of a file's name


class InputError(ValueError):
    """The user's input cannot be used.

    The message says what must hold, what was given, and what to do.
    """


class UndescribableError(InputError, TypeError):
    """Something cannot be told apart from others of its kind, so no stored image may be its."""


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


_REMEDIES = {
    errno.ENOSPC: "Free some space",
    errno.EDQUOT: "Free some space, or ask for more",
    errno.EROFS: "Name a folder that can be written",
    errno.EACCES: "Name another, or ask for permission",
    errno.EPERM: "Name another, or ask for permission",
    errno.EMFILE: "Allow more (ulimit -n 4096), or set --data.num_workers lower",
    errno.ENFILE: "Close other programs",
    errno.ENAMETOOLONG: "Shorten the name",
    errno.EIO: "The disk or its connection fails: see to it",
    errno.ESTALE: "The disk or its connection fails: see to it",
    errno.EEXIST: "Remove what stands there, such as a link that leads nowhere, or name another",
    errno.ELOOP: "Remove the link that leads to itself, or name another",
    errno.ENXIO: "Remove what stands there, which is no file, or name another",
    errno.EFBIG: "Allow larger files (ulimit -f)",
    errno.ENOTDIR: "Name a folder",
    errno.EISDIR: "Name a file",
}
"""What to do about faults of the machine, by their number."""


@contextmanager
def plain_errors(kept: str = "Nothing is lost: run the same command again.") -> Iterator[None]:
    """End a script with one line, no traceback, where the input or the machine is at fault.

    Its status is 1; on Ctrl-C 130; where nobody reads what is printed 141, as SIGPIPE has.

    Args:
        kept: what is kept after Ctrl-C, and how to go on.
    """
    try:
        with interruptible(kept):
            yield
    except BrokenPipeError:
        # Python would fail once more at its end, when it flushes what is left to print.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(128 + signal.SIGPIPE)
    except Exception as error:
        told = _told(error)
        if told is None:
            raise
        _let_go(error)
        sys.exit(f"error: {told}")


def _let_go(error: Exception) -> None:
    """Drop what an error holds, whose destructors may fail of the same fault, without a word."""
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        traceback.clear_frames(error.__traceback__)
    finally:
        sys.unraisablehook = hook


def first_line(error: BaseException) -> str:
    """Return an error's first line without full stop, at most 200 characters, or else its kind."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200].rstrip(". ")


def _of_the_machine(error: OSError) -> str | None:
    """Return what is wrong with the machine, None if the error says nothing of the kind."""
    remedy = _REMEDIES.get(error.errno or 0)
    if remedy is None:
        return None
    name = str(error.filename or "")
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    where = f" ({shown})" if shown else ""
    return f"{error.strerror}{where}. {remedy}, and run the same command: what is stored is kept."


def _told(error: BaseException) -> str | None:
    """Return the message for an error that the code did not cause; None for one it may have."""
    if isinstance(error, FileNotFoundError):
        return str(error)
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, InputError):
        if isinstance(cause, OSError) and (fault := _of_the_machine(cause)):
            return fault
        cause = cause.__cause__
    if "DataLoader worker (pid" in str(error):
        return (
            f"{error}\nA process that loads data has died, most often for want of memory. Free "
            "some or set --data.num_workers lower, and run the same command: what is stored is "
            "not lost."
        )
    if "Too many open files" in str(error):  # torch's, which is no OSError
        return f"too many open files. {_REMEDIES[errno.EMFILE]}, and run the same command again."
    if "embedded null" in str(error):
        return "a file's name must not hold a NUL character, got one. Correct it in the config."
    if out_of_memory(error):
        return (
            f"memory ran out ({first_line(error)}). Attack fewer images at a time "
            "(--attack.max_batch; python -m project.largest_batch finds how many), or set "
            "--data.batch_size lower, and run the same command: what is stored is not lost."
        )
    # Where a config may name one of several kinds, jsonargparse raises its own error from ours.
    return None if cause is None else str(cause)

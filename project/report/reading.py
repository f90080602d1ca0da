"""Reading what a run's folder holds: whole and of this kind, or told in one line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from project.core.errors import InputError
from project.core.json_text import parse_json
from project.storage.checksums import read_checked

Read = TypeVar("Read")
_KINDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("title", "task", "command", "config"), str),
    **dict.fromkeys(("class_names", "notices"), list),
    **dict.fromkeys(("versions", "weights", "kin", "attacks", "copies"), dict),
    "images": int,
}
"""What run.json holds under a name, where it has it."""
_SAID = {str: "a text", list: "a list", dict: "a dictionary", int: "a number"}


def read_whole(path: Path, read: Callable[[Path], Read]) -> Read:
    """Return what a reader makes of a file.

    Raises:
        InputError: if it is damaged, or of another kind; in one line that names it.
    """
    with whole(path):
        return read(path)


@contextmanager
def whole(path: Path) -> Iterator[None]:
    """Tell of a file in one line where it is damaged, or of another kind."""
    try:
        yield
    except InputError:
        raise
    except (OSError, ValueError, KeyError, TypeError, EOFError, SyntaxError, IndexError) as error:
        # Pillow raises OSError and SyntaxError of damaged pictures, pyarrow ValueError, KeyError.
        raise damaged(path, " ".join(str(error).split())) from error


def damaged(path: Path, told: str) -> InputError:
    """Return the error of a file that is not as it was written."""
    return InputError(
        f"{path} must be as Mirage wrote it, but cannot be read: {told}. Was it edited, cut off or "
        "taken from elsewhere? Run the command that made it again: stored images are kept."
    )


def read_facts(path: Path) -> dict[str, Any]:
    """Read a run.json.

    Raises:
        InputError: if it is none.
    """
    facts = read_whole(path, lambda file: parse_json(read_checked(file)))
    if not isinstance(facts, dict):
        raise damaged(path, "it is no dictionary")
    for name, kind in _KINDS.items():
        if facts.get(name) is not None and not isinstance(facts[name], kind):
            raise damaged(path, f"{name} must be {_SAID[kind]}, got {facts[name]!r:.60}")  # type: ignore[index]
    return facts

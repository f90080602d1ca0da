"""Texts that people share, without this machine's folders, and without secrets.

Paths become relative to the working folder, so that a command or a config can be copied and run
from there; what lies in the user's home folder but cannot be reached without its name begins
with ``~/`` (``"$HOME"`` in commands), which configs and the command line understand.
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# An absolute path in a text: no part of a relative path, of an address or of a fraction.
_PART = r"""[^\s/'"`,;:|<>(){}\[\]=]+"""
_PATH = re.compile(rf"(?<![\w.:/~$)\]}}%-])/{_PART}(?:/{_PART})*/?")
_LOGIN = re.compile(r"(?<=://)[^/@\s'\"]+@")
_SECRET = re.compile(r"key|token|secret|passw", re.IGNORECASE)
_LONG = 8  # characters; a shorter value of a variable may stand in a text by chance
HIDDEN = "***"
_SYSTEM = {"bin", "dev", "etc", "lib", "opt", "proc", "sys", "usr"}  # the same on most machines


def portable(text: str) -> str:
    """Return a text with relative paths, without logins in addresses and without keys.

    A key is the value of an environment variable whose name says so, such as WANDB_API_KEY.
    """
    for name, value in os.environ.items():
        if _SECRET.search(name) and len(value) >= _LONG and not os.path.isabs(value):
            text = text.replace(value, HIDDEN)
    text = _LOGIN.sub(f"{HIDDEN}@", text)
    # Folders whose names hold what ends a path in a text, such as a blank, first.
    for folder in (os.getcwd(), _home()):
        if folder and _PATH.fullmatch(folder) is None:
            text = re.sub(rf"{re.escape(folder)}(?![^/\s'\"`,;:])(/?)", _of_folder(folder), text)
    return _PATH.sub(lambda found: _relative(found[0]), text)


def portable_tree(value: Any) -> Any:
    """Return a dictionary or list with all texts in it :func:`portable`, keys among them."""
    if isinstance(value, str):
        return portable(value)
    if isinstance(value, Path):
        return Path(portable(str(value)))
    if isinstance(value, Mapping):
        return {portable_tree(name): portable_tree(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)([portable_tree(one) for one in value])
    return value


def at_home(value: Any) -> Any:
    """Return a setting with each ``~/`` that begins a text, in whatever it holds, in full."""
    if isinstance(value, str):
        return os.path.expanduser(value) if value.startswith("~/") else value
    if isinstance(value, dict):
        return {name: at_home(one) for name, one in value.items()}
    return [at_home(one) for one in value] if isinstance(value, list) else value


def portable_command(arguments: Sequence[str]) -> str:
    """Return a command for a shell in the working folder.

    Args:
        arguments: its words, as the shell gave them.
    """
    return " ".join(_word(portable(one)) for one in arguments)


def started_command() -> str:
    """Return the command that has started this process, as :func:`portable_command` does."""
    module = getattr(sys.modules["__main__"], "__spec__", None)
    if module is not None:
        return portable_command(
            ["python", "-m", module.name.removesuffix(".__main__"), *sys.argv[1:]]
        )
    script = Path(sys.argv[0])
    by_itself = script.suffix == "" and script.is_file()  # as pip installs commands
    return portable_command([*([] if by_itself else ["python"]), *sys.argv])


def _word(word: str) -> str:
    name, there, rest = word.partition("~/")
    if there and name in ("", name.rstrip("=") + "="):
        return f'{shlex.quote(name) if name else ""}"$HOME"{shlex.quote("/" + rest)}'
    return shlex.quote(word)


def _relative(path: str) -> str:
    """Return a path that is there, or whose first part is, from the working folder."""
    parts = Path(path).parts
    if len(parts) < 2 or parts[1] in _SYSTEM or not Path(*parts[:2]).exists():
        return path
    end = "/" if path.endswith("/") else ""
    home, here = _home(), os.getcwd()
    if home and _inside(path, home) and not _inside(here, home):
        return f"~/{os.path.relpath(path, home)}".removesuffix(".") + end
    return os.path.relpath(path, here) + end


def _of_folder(folder: str) -> Any:
    return lambda found: _relative(folder) + found[1]


def _inside(path: str, folder: str) -> bool:
    return os.path.commonpath([path, folder]) == folder


def _home() -> str:
    """Return the user's home folder; empty where it is the root, which tells nobody's name."""
    home = os.path.expanduser("~").rstrip("/")
    return home if os.path.isabs(home) else ""

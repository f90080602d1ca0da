"""Packages that only some victims need: imported when one is made, or told in one line."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from project.core.errors import InputError


def extra(module: str, victim: str, remedy: str) -> Any:
    """Return an optional package, imported.

    Args:
        module: its name as Python imports it.
        victim: who needs it, for the message.
        remedy: the command that installs it.

    Raises:
        InputError: if it is not installed, or something that it needs is not.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{victim} needs the package {error.name or module}, which is not installed. "
            f"Install it: {remedy}"
        ) from error

"""Optional packages: imported where something needs them, or files in them found unrun."""

from __future__ import annotations

import warnings
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from project.core.errors import InputError


def imported(module: str, needer: str, remedy: str) -> Any:
    """Return an optional package's module, imported without its warnings.

    Args:
        module: its name as Python imports it.
        needer: what needs it, for the message.
        remedy: the command that installs it.

    Raises:
        InputError: if it, or something that it needs, cannot be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what libraries import themselves
            return import_module(module)
    except ImportError as error:
        raise InputError(
            f"{needer} needs the package {module.partition('.')[0]}, which cannot be imported "
            f"({error}). Install it: {remedy}"
        ) from error


def in_package(place: str) -> Path | None:
    """Return a file or folder inside of an installed package.

    Args:
        place: the package as Python imports it, and the path inside, as ``package/data/file``.

    Returns:
        Its path; None if the package, or what should lie in it, is not there.
    """
    package, _, inside = place.partition("/")
    spec = find_spec(package)  # which does not run it
    found = (Path(at, inside) for at in (spec and spec.submodule_search_locations) or [])
    return next((path for path in found if path.exists()), None)

"""Files that lie inside of installed packages, found without running the packages' code."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path


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

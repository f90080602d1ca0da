"""The versions that a run's results may depend on."""

from __future__ import annotations

import platform
from importlib.metadata import version


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of installed packages by name."""
    return {"python": platform.python_version()} | {name: version(name) for name in packages}

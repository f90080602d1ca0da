"""Settings of an attack by name, such as those of its paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from project.core.errors import InputError

Settings = TypeVar("Settings")


def chosen_preset(presets: Mapping[str, Settings], name: str) -> Settings:
    """Return the settings of a name.

    Raises:
        ValueError: if the name is unknown.
    """
    if name not in presets:
        raise InputError(f"preset must be one of {', '.join(presets)}, got {name!r}.")
    return presets[name]

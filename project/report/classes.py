"""Names and colours of classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from project.report.gallery import Sample
from project.report.pictures import palette


def class_name(facts: Mapping[str, Any], index: int) -> str:
    """Return a class's name, or its number where run.json names no classes."""
    names = facts.get("class_names") or []
    return str(names[index]) if 0 <= index < len(names) else f"class {index}"


def class_colour(index: int) -> str:
    """Return a class's colour in overlays, as CSS writes it."""
    return "#" + bytes(palette()[index]).hex()


def class_colours(facts: Mapping[str, Any], samples: Iterable[Sample]) -> list[tuple[str, str]]:
    """Return the names and colours of the classes that the overlays of some samples show."""
    found = sorted(set[int]().union(*(sample.classes() for sample in samples)))
    return [(class_name(facts, k), class_colour(k)) for k in found]

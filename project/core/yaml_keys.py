"""Checks of YAML keys: none may be repeated (PyYAML silently keeps the last), and all are text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import yaml

from project.core.errors import InputError

_MERGE = "tag:yaml.org,2002:merge"


def refuse_repeated_keys(loader: Any) -> None:
    """Make a loader class refuse a mapping that has a key twice.

    Keys merged by ``<<`` may be overridden. PyYAML writes merged keys into its nodes while it
    constructs, so the check comes before.
    """
    construct = loader.construct_document

    def construct_document(self: Any, node: yaml.Node) -> Any:
        _require_single_keys(node, set())
        return construct(self, node)

    loader.construct_document = construct_document


def require_text_keys(where: str, content: Mapping[Any, Any]) -> None:
    """Refuse names that are empty or not text; YAML reads 1 and yes as other types."""
    wrong = [name for name in content if not (isinstance(name, str) and name)]
    if wrong:
        raise InputError(
            f"the names in {where} must be text, got {', '.join(map(repr, wrong))}. Put them in "
            "quotes, such as '1'."
        )


def _require_single_keys(node: yaml.Node, seen: set[int]) -> None:
    if id(node) in seen or not isinstance(node, yaml.CollectionNode):
        return
    seen.add(id(node))  # an alias is the same node object, and may lie inside itself
    parts = node.value
    if isinstance(node, yaml.MappingNode):
        known = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in known and key.tag != _MERGE:
                raise InputError(
                    f"a key must be there once, got {key.value!r} for the second time in line "
                    f"{key.start_mark.line + 1}. Keep one."
                )
            known.add(name)
        parts = [part for pair in node.value for part in pair]
    for part in parts:
        _require_single_keys(part, seen)

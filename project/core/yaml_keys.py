"""Checks of YAML keys: none may be repeated (PyYAML silently keeps the last), and all are text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import yaml

from project.core.errors import InputError

LONGEST_NAME = 100
"""Bytes of an attack's or a victim's name; a file's name may have 255."""

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


def require_text_keys(where: str, content: Iterable[Any]) -> None:
    """Refuse names that cannot be names of files and columns.

    They must be text, which YAML does not read 1 and yes as, not empty, short enough that a file
    can be named after two of them, and without control characters such as NUL.
    """
    names = list(content)
    wrong = [name for name in names if not (isinstance(name, str) and name)]
    if wrong:
        raise InputError(
            f"the names in {where} must be text, got {', '.join(map(repr, wrong))}. Put them in "
            "quotes, such as '1'."
        )
    for name in names:
        if len(name.encode("utf-8", "replace")) > LONGEST_NAME or not name.isprintable():
            raise InputError(
                f"a name in {where} must have at most {LONGEST_NAME} bytes and no control "
                f"characters, since files are named after it, got {name[:40]!r} of "
                f"{len(name.encode('utf-8', 'replace'))} bytes. Choose another."
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

"""Reading YAML that may come from anybody: bounded in size, depth and what its aliases unfold to.

A few hundred bytes of nested aliases ("billion laughs") unfold to more nodes than memory holds, and
brackets nested by the ten thousand end in the interpreter's own limit; both are refused before
anything is built.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from project.core.errors import InputError
from project.core.yaml_keys import refuse_repeated_keys

MOST_TEXT = 2**20
"""Characters of one file; a config of a hundred attacks has about a twentieth of it."""
MOST_DEPTH = 100
"""Mappings and lists inside of each other; attacks inside attacks reach about 20."""
MOST_NODES = 50_000
"""Keys and values, each alias counted with all that it stands for."""

# YAML 1.1 asks for a point and a sign, so that PyYAML reads 1e-3 and 1.5e3 as text.
_FLOAT = re.compile(r"^[-+]?\d[\d_]*(?:\.[\d_]*)?[eE][-+]?\d+$")


def harden(loader: Any) -> None:
    """Make a loader class refuse what no config needs, before it builds anything.

    That is: text that is too long, nested too deeply or unfolds to too much; aliases inside of what
    they stand for; keys that are there twice; and ``.nan``, which no check by ``<`` would notice.

    Raises:
        InputError: by the loader, with the line where there is one.
    """
    refuse_repeated_keys(loader)
    begin, construct = loader.__init__, loader.construct_document

    def __init__(self: Any, stream: Any) -> None:  # noqa: N807 - it becomes the loader's
        text = stream if isinstance(stream, str | bytes) else stream.read()
        _require_bounded(text)
        begin(self, text)

    def construct_document(self: Any, node: yaml.Node) -> Any:
        _unfolded(node, {})
        return construct(self, node)

    loader.__init__ = __init__
    loader.construct_document = construct_document


class YamlLoader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """A safe loader of YAML that was hardened, to which 1e-3 is a number."""


YamlLoader.add_implicit_resolver("tag:yaml.org,2002:float", _FLOAT, list("-+0123456789"))
harden(YamlLoader)


def read_yaml(path: Path) -> Any:
    """Read a file of YAML.

    Raises:
        InputError: if it is not UTF-8, no YAML, or refused as :func:`harden` says.
        OSError: if it cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return parse_yaml(file.read(MOST_TEXT + 1), str(path))
    except UnicodeDecodeError as error:
        raise InputError(not_utf8(path, error)) from error


def not_utf8(path: Any, error: UnicodeDecodeError) -> str:
    """Return what to say of a file that is no text in UTF-8."""
    return (
        f"{str(path)!r} must be text in UTF-8, got a byte that is not at {error.start}. Save it as "
        "UTF-8."
    )


def parse_yaml(text: str, where: str) -> Any:
    """Build what YAML says.

    Args:
        text: the YAML.
        where: what it is, such as its path, for messages.

    Raises:
        InputError: if it is no YAML, or refused as :func:`harden` says.
    """
    try:
        return yaml.load(text, YamlLoader)
    except (yaml.YAMLError, ValueError) as error:  # ValueError: numbers of thousands of digits
        raise InputError(f"{where} must be YAML: {one_line(error)}") from error


def read_sections(path: Path) -> dict[str, Any]:
    """Read a file of YAML that is a mapping, such as a config; an empty file is an empty one.

    Raises:
        InputError: if it is none.
        OSError: if it cannot be read.
    """
    content = read_yaml(path)
    if content is not None and not isinstance(content, Mapping):
        raise InputError(
            f"{str(path)!r} must be sections with their settings (key: value), got "
            f"{type(content).__name__}."
        )
    return dict(content or {})


def one_line(error: Exception) -> str:
    """Return an error of PyYAML on one line, with the place where it is."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        return " ".join(str(error).split())
    tab = "; YAML is indented by blanks, not tabs" if "\\t" in problem or _at_tab(mark) else ""
    return f"{problem}, in line {mark.line + 1}, column {mark.column + 1}{tab}"


def _at_tab(mark: Any) -> bool:
    buffer, place = getattr(mark, "buffer", None), getattr(mark, "pointer", 0)
    return buffer is not None and buffer[place : place + 1] == "\t"


def _require_bounded(text: str | bytes) -> None:
    """Refuse text that is too long or nested too deeply, by its events: nothing is built.

    Events are read one by one, and no further than the first that is too much.
    """
    if len(text) > MOST_TEXT:
        raise InputError(
            f"YAML must have at most {MOST_TEXT:,} characters, got more. Is it the right file?"
        )
    depth = count = 0
    try:
        for event in yaml.parse(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)):
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            count += isinstance(event, yaml.NodeEvent)
            if count > MOST_NODES:
                raise _too_many(event.start_mark)
            if depth > MOST_DEPTH:
                raise InputError(
                    f"YAML must be nested at most {MOST_DEPTH} deep, got more in line "
                    f"{_line(event.start_mark)}. Is it the right file?"
                )
    except (yaml.YAMLError, UnicodeError, RecursionError):
        return  # the loader itself tells what is wrong, and where


def _too_many(mark: Any) -> InputError:
    return InputError(
        f"YAML must have at most {MOST_NODES:,} keys and values, its aliases unfolded, got more by "
        f"line {_line(mark)}. Is it the right file?"
    )


def _line(mark: Any) -> int:
    """Return the line of a place, counted from 1 as editors do."""
    return int(mark.line) + 1


def _unfolded(node: yaml.Node, known: dict[int, int]) -> int:
    """Return the number of nodes below a node, aliases unfolded, or refuse them.

    Args:
        node: an alias is the very node that it stands for, so each is counted only once.
        known: the numbers found before, by the node's id; 0 for nodes that are not finished.
    """
    if id(node) in known:
        if known[id(node)] == 0:
            raise InputError(
                f"an alias must not lie inside of what it stands for, got one in line "
                f"{node.start_mark.line + 1}. Write the values out."
            )
        return known[id(node)]
    known[id(node)] = 0
    count = 1
    if isinstance(node, yaml.CollectionNode):
        mapping = isinstance(node, yaml.MappingNode)
        parts = [part for pair in node.value for part in pair] if mapping else node.value
        for part in parts:
            count += _unfolded(part, known)
            if count > MOST_NODES:
                raise _too_many(node.start_mark)
    elif node.value.lower() == ".nan" and node.tag.endswith(":float"):
        raise InputError(
            f"a number must be one, got {node.value} in line {node.start_mark.line + 1}. Write a "
            "number, or null where none is meant."
        )
    known[id(node)] = count
    return count

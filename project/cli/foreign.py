"""A run folder of somebody else: its config names code of Mirage and Lightning, or nothing runs.

What a config names is not in its mappings alone: jsonargparse reads a text where a class may stand
as YAML, as a file of YAML, or as the name of what is imported. So names are judged where they are
resolved, which each of these ways comes to; and what a run writes has no text in those places that
is more than a name.
"""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NoReturn
from unittest.mock import patch

import jsonargparse._actions
import jsonargparse._typehints
import jsonargparse._util

from project.cli.trust import class_paths
from project.core.errors import InputError

# As jsonargparse imports it, and as ImportedClassifier does: module:function, which it calls.
_DOTTED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)+")
_CALLED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*:[^\W\d]\w*")
_OWN = ("project", "lightning")  # whose classes a foreign run folder may name without consent


class _RefusedError(BaseException):
    """Something is not to be imported; no ``except Exception`` between takes it for a bad value."""


@contextmanager
def only_own(config: Mapping[str, Any], whose: str) -> Iterator[None]:
    """Import no code by a config of somebody else within the block but Mirage's and Lightning's.

    Args:
        config: as read from the file, before anything of it is imported.
        whose: the file, for the message.

    Raises:
        InputError: with what is refused, and how to consent; nothing of it has been imported.
    """
    require_own(config, whose)
    texts = set(_texts(config))
    # Its own names: there is no public way in. Without them a run folder is not made again at all.
    check: Any = jsonargparse._util.check_import_path  # type: ignore[attr-defined]
    adapt = jsonargparse._typehints
    judged = _judged(check)
    read = _of_names(jsonargparse._util.parse_value_or_config, texts)
    sub_config = _no_file(adapt.adapt_subconfig_path, adapt.not_a_subconfig_path, texts)
    try:
        with (
            patch.object(jsonargparse._util, "check_import_path", judged),
            patch.object(jsonargparse._typehints, "check_import_path", judged),
            patch.object(jsonargparse._typehints, "parse_value_or_config", read),
            patch.object(jsonargparse._typehints, "adapt_subconfig_path", sub_config),
            patch.object(jsonargparse._actions, "parse_value_or_config", read),
        ):
            yield
    except _RefusedError as error:
        raise InputError(_refusal(whose, str(error))) from None


def require_own(config: Mapping[str, Any], whose: str) -> None:
    """Refuse a config of somebody else that plainly names classes outside of Mirage and Lightning.

    Args:
        config: as read from the file, before anything of it is imported.
        whose: the file, for the message.

    Raises:
        InputError: with the names, and how to consent.
    """
    named = {path for _, path in class_paths(config)} | set(filter(_importable, _texts(config)))
    if foreign := sorted(path for path in named if re.search("[.:]", path) and not _own(path)):
        raise InputError(_refusal(whose, ", ".join(foreign[:5])))


def _refusal(whose: str, named: str) -> str:
    return (
        f"{whose} names code outside of Mirage, which would run: {named}. If the folder is yours, "
        "or you trust whom it comes from, add --trust."
    )


def _judged(check: Callable[[str], None]) -> Callable[[str], None]:
    """Return jsonargparse's check of a name that is about to be imported, made strict."""

    def judged(path: str) -> None:
        check(path)
        if not _own(path) and _found(path):  # what is not found fails by itself, or stays a text
            raise _RefusedError(path)

    return judged


def _of_names(read: Callable[..., Any], texts: set[str]) -> Callable[..., Any]:
    """Return jsonargparse's reading of a value, which takes a text for a name only."""

    def of_names(value: Any, enable_path: bool = True, **kwargs: Any) -> Any:
        found = read(value, enable_path=enable_path, **kwargs)
        more = found[1] is not None or isinstance(found[0], dict | list)
        if enable_path and isinstance(value, str) and value in texts and more:
            _refuse_text(value)
        return found

    return of_names


def _no_file(adapt: Callable[..., Any], none: object, texts: set[str]) -> Callable[..., Any]:
    """Return jsonargparse's reading of a file where a class may stand, which reads none."""

    def no_file(value: Any, typehint: Any, kwargs: Any) -> Any:
        found = adapt(value, typehint, kwargs)
        if found is not none and value in texts:
            _refuse_text(value)
        return found

    return no_file


def _refuse_text(text: str) -> NoReturn:
    shown = " ".join(text.split())
    raise _RefusedError(f"what the text {shown[:200]!r} holds")


def _own(path: str) -> bool:
    return _top(path) in _OWN


def _top(path: str) -> str:
    return re.split("[.:]", path, maxsplit=1)[0]


def _texts(config: Any) -> Iterator[str]:
    """Yield the texts of a config, at any depth."""
    if isinstance(config, Mapping):
        config = list(config.values())
    if isinstance(config, list):
        for value in config:
            yield from _texts(value)
    elif isinstance(config, str):
        yield config


def _importable(text: str) -> bool:
    """Return whether a text could name something to import, which is not imported."""
    if not (_DOTTED.fullmatch(text) or _CALLED.fullmatch(text)):
        return False
    return _top(text) not in sys.stdlib_module_names and _found(text)


def _found(path: str) -> bool:
    try:
        return importlib.util.find_spec(_top(path)) is not None
    except ValueError:  # __main__, as Python was started
        return True

"""Dataclasses whose fields are checked against their annotations when they are made.

Python does not look at annotations, so a wrong kind of argument would pass construction and fail
much later, in words of Python's own. The CLI checks what a config says; this checks what code says.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache, wraps
from inspect import isabstract
from numbers import Integral, Real
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from project.core.choices import nearest
from project.core.errors import InputError


class CheckedFields:
    """Base class of dataclasses that refuse wrong kinds of arguments with an :class:`InputError`.

    A field is checked before the class's own ``__post_init__`` runs, whether or not that calls its
    base's; then :meth:`require_together`. Lists become tuples, so that frozen dataclasses stay as
    they are, and can be hashed.
    """

    def __init_subclass__(cls, **arguments: Any) -> None:
        super().__init_subclass__(**arguments)
        own = vars(cls).get("__post_init__")
        if own is not None:
            cls.__post_init__ = _after_check(own)  # type: ignore[assignment]

    def __post_init__(self) -> None:
        require_kinds(self)
        self.require_together()

    def require_together(self) -> None:
        """Refuse values that are right for themselves and wrong together; by default none are."""


def _after_check(own: Callable[[Any], None]) -> Callable[[Any], None]:
    @wraps(own)
    def checked(self: Any) -> None:
        require_kinds(self)
        self.require_together()
        own(self)

    return checked


def require_kinds(thing: Any) -> None:
    """Refuse a dataclass with a field whose value is not what its annotation says.

    Whole numbers serve as numbers, but bools are none; numbers must be finite; a text is no list;
    a class is no instance. What an annotation cannot tell (its names are unknown here) is passed.

    Raises:
        InputError: names the class, the field, what it takes and what came.
    """
    if not is_dataclass(thing):
        return
    kind: type = type(thing)
    hints = _hints(kind)
    for field in fields(thing):
        value, hint = getattr(thing, field.name), hints.get(field.name, Any)
        endless = field.default == math.inf and value == math.inf
        if not endless and not _fits(value, hint):
            name = f"{type(thing).__name__}'s {field.name}"
            raise InputError(
                f"{name} must be {_wanted(hint)}, got {_told(value)}.{_hint(value, hint)}"
            )
        if isinstance(value, list):
            object.__setattr__(thing, field.name, _unchanging(value))


def _unchanging(value: Any) -> Any:
    return tuple(map(_unchanging, value)) if isinstance(value, list) else value


@cache
def _hints(kind: type) -> dict[str, Any]:
    try:
        return get_type_hints(kind)
    except NameError:  # annotations that are texts, of names local to a function
        return {}


def _fits(value: Any, hint: Any) -> bool:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is None or hint is type(None):
        return value is None
    if origin in (Union, types.UnionType):
        return any(_fits(value, one) for one in arguments)
    if origin is Literal:
        return any(type(value) is type(one) and value == one for one in arguments)
    if hint is bool:
        return isinstance(value, bool)
    if hint is int:
        return isinstance(value, Integral) and not isinstance(value, bool)
    if hint is float:
        return _is_number(value) and math.isfinite(value)
    if origin is tuple and Ellipsis not in arguments:
        return (
            isinstance(value, list | tuple)
            and len(value) == len(arguments)
            and all(map(_fits, value, arguments))
        )
    if origin in (list, tuple, Sequence):
        return isinstance(value, list | tuple) and all(_fits(one, arguments[0]) for one in value)
    if origin in (dict, Mapping):
        return isinstance(value, Mapping) and all(
            _fits(one, arguments[1]) for one in value.values()
        )
    if origin is Callable:
        return callable(value) and not isinstance(value, type)
    if isinstance(hint, type) and hint is not Any:
        return isinstance(value, hint)
    return True


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


_NAMES = {bool: "True or False", int: "a whole number", float: "a finite number", str: "a text"}


def _wanted(hint: Any) -> str:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return ", or ".join(map(_wanted, arguments))
    if origin is Literal:
        return ("one of " if len(arguments) > 1 else "") + ", ".join(map(str, arguments))
    if origin is tuple and Ellipsis not in arguments:
        return f"({', '.join(map(_wanted, arguments))})"
    if origin in (list, tuple, Sequence):
        return f"a list of which each is {_wanted(arguments[0])}"
    if origin is Callable:
        return "a function"
    if hint is None or hint is type(None):
        return "None"
    name = getattr(hint, "__name__", str(hint))
    return _NAMES.get(hint, f"{'an' if name[0] in 'AEIOU' else 'a'} {name}")


def _told(value: Any) -> str:
    if isinstance(value, type):
        return f"the class {value.__name__}"
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}…"


def _hint(value: Any, hint: Any) -> str:
    """Return what to do, a sentence after a blank, or nothing."""
    options = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    known = sorted({one.__name__ for one in _classes(hint) if not isabstract(one)})
    if isinstance(value, str):
        if value in known:
            return f" Give an instance: {value}(…)."
        literals = [x for one in options if get_origin(one) is Literal for x in get_args(one)]
        if near := nearest(value, literals):
            return f" Do you mean {near}?"
        if float in options or int in options:
            return " Give the number itself, without quotation marks."
    for one in options:
        item = get_args(one)[0] if get_origin(one) in (list, tuple, Sequence) else None
        if item is not None and _fits(value, item):
            return f" Put it into a list: [{_told(value)}]."
    if isinstance(value, type) and value in _classes(hint):
        return f" Give an instance: {value.__name__}(…)."
    if isinstance(value, list | tuple):
        kinds = [f"{one.__name__}(…)" for one in value if isinstance(one, type)]
        if kinds:
            return f" Give instances: {', '.join(kinds)}."
    return f" Such are {', '.join(known[:_SHOWN])}." if known else ""


_SHOWN = 8


def _classes(hint: Any) -> list[type]:
    """Return the package's public classes that a hint accepts, if it names a class of it."""
    found: list[type] = []
    for one in (hint, *get_args(hint)):
        if isinstance(one, type) and one.__module__.startswith(_PACKAGE):
            found += _below(one)
    return [one for one in found if one.__module__.startswith(_PACKAGE) and one.__name__[0] != "_"]


_PACKAGE = __name__.partition(".")[0] + "."


def _below(kind: type) -> list[type]:
    below: list[type] = kind.__subclasses__()
    return [kind, *(one for sub in below for one in _below(sub))]

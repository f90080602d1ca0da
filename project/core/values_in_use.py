"""Values that code outside the package uses beside its arguments, as they are now.

A script may set them at run time, from its command line say, so that its source does not tell them.
They are the plain public attributes of classes, and the plain public globals that functions name.
What is private is taken to follow from these. None and empty containers are left out, since they
are often caches that fill on the way with what is not plain.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import CodeType, FunctionType, ModuleType
from typing import Any

from project.core.contents import any_text_may_name_files, told_path, told_text

_LEFT_OUT = "left out"


def values_in_use(thing: Any, counts: Callable[[str], bool]) -> dict[str, str]:
    """Return the values that a class or function uses, and what it names in turn, by their names.

    A text that names a file or folder is told by its content.

    Args:
        thing: a class or function.
        counts: tells of a module's name whether its values are to be told.
    """
    found: dict[str, str] = {}
    seen: set[int] = set()
    waiting = [thing]
    with any_text_may_name_files(True):
        while waiting:
            one = waiting.pop()
            home = getattr(one, "__module__", None) or ""
            if id(one) in seen or not counts(home):
                continue
            seen.add(id(one))
            if inspect.isclass(one):
                found |= _told(f"{home}.{one.__qualname__}", vars(one))
                waiting += one.__mro__[1:-1]
            parts = list(functions_of(one))
            for part in {*parts, *map(inspect.unwrap, parts)}:
                if not inspect.isfunction(part):
                    continue
                place = part.__globals__.get("__name__", "")
                if counts(place):  # no wrapper of a library's
                    words = set(words_of(part.__code__))
                    waiting += _used(place, part.__globals__, words, counts, found)
    return found


def functions_of(thing: Any) -> Iterator[FunctionType]:
    """Yield a function, or all functions of a class: methods, properties, what decorators hold."""
    for one in [thing] if inspect.isfunction(thing) else list(vars(thing).values()):
        held = [one, *(getattr(one, name, None) for name in ("__func__", "fget", "fset", "func"))]
        yield from (inner for inner in held if inspect.isfunction(inner))


def words_of(code: CodeType) -> Iterator[str]:
    """Yield the global names that code uses, inner functions' too."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from words_of(constant)


def _used(
    home: str,
    names: Mapping[str, Any],
    words: set[str],
    counts: Callable[[str], bool],
    found: dict[str, str],
) -> list[Any]:
    """Note the values among the names of a module that are used; return functions and classes."""
    used = {word: names[word] for word in words.intersection(names)}
    found |= _told(home, used)
    further = [one for one in used.values() if inspect.isfunction(one) or inspect.isclass(one)]
    for one in used.values():
        if isinstance(one, ModuleType) and counts(one.__name__) and f"{one.__name__}:" not in found:
            found[f"{one.__name__}:"] = ""  # so that modules that import each other have an end
            further += _used(one.__name__, vars(one), words, counts, found)
    return further


def _told(home: str, values: Mapping[str, Any]) -> dict[str, str]:
    told = {
        f"{home}:{name}": _plain(value)
        for name, value in values.items()
        if not name.startswith("_")
    }
    return {name: value for name, value in told.items() if value != _LEFT_OUT}


def _plain(value: Any) -> str:
    """Return what tells a plain value, at any depth, and else that it is left out."""
    kind = type(value)
    if kind is str:
        return repr(told_text(value))
    if isinstance(value, Path):
        return repr(told_path(value))
    if kind in (bool, int, float, complex, bytes):
        return repr(value)
    if kind not in (tuple, list, set, frozenset, dict) or not value:
        return _LEFT_OUT
    parts = [*value.items()] if kind is dict else [*value]
    told = ["None" if part is None else _plain(part) for part in parts]
    if _LEFT_OUT in told:
        return _LEFT_OUT
    return f"{kind.__name__} {sorted(told) if kind in (set, frozenset) else told}"

"""Values that code outside the package uses beside its arguments, as they are now.

A script may set them at run time, from its command line or a file say, so that its source does not
tell them. They are the public attributes of classes and of objects that the code names, the public
globals that functions name, what inner functions and decorators close over, defaults of arguments,
what a partial or a wrapper holds, and the content of files that stand in the code by name. Told are
plain values, arrays, networks, and objects of anybody's own classes. What is private is taken to
follow from these. None, empty containers, and dictionaries with more than plain values in them are
left out, since they are often caches that fill on the way.
"""

from __future__ import annotations

import argparse
import dataclasses
import inspect
import sys
import types
from collections.abc import Callable, Iterator, Mapping
from functools import _lru_cache_wrapper, cached_property, partial, partialmethod
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch
from torch import nn

from project.core.arrays import weights_hash
from project.core.contents import any_text_may_name_files, named_file
from project.core.errors import UndescribableError
from project.core.layer_kinds import scripted_hash
from project.core.plain_values import LEFT_OUT, plain

_RECORDS = (argparse.Namespace, types.SimpleNamespace)
_WRAPPERS = (
    *(partial, partialmethod, _lru_cache_wrapper, MethodType),
    *(property, cached_property, classmethod, staticmethod),
)
_HELD = ("__func__", "__self__", "__wrapped__", "fget", "fset", "func", "args", "keywords")


def values_in_use(thing: Any, counts: Callable[[str], bool]) -> dict[str, str]:
    """Return the values that a class or function uses, and what it names in turn, by their names.

    A text that names a file or folder is told by its content.

    Args:
        thing: a class or function.
        counts: tells of a module's name whether its values are to be told.

    Raises:
        UndescribableError: naming a value that cannot be told from another of its kind.
    """
    uses = _Trail(counts)
    with any_text_may_name_files(True):
        uses.follow_all(thing)
    return uses.found


def functions_of(thing: Any) -> Iterator[FunctionType]:
    """Yield a function, or all functions of a class: methods, properties, what decorators hold."""
    for one in [thing] if inspect.isfunction(thing) else list(vars(thing).values()):
        held = [one, *(getattr(one, name, None) for name in ("__func__", "fget", "fset", "func"))]
        yield from (inner for inner in held if inspect.isfunction(inner))


def words_of(code: CodeType) -> Iterator[str]:
    """Yield the global names that code uses, inner functions' too."""
    for part in _codes(code):
        yield from part.co_names


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


class _Trail:
    """What is found on the way from a class or function to all that it leads to."""

    def __init__(self, counts: Callable[[str], bool]) -> None:
        self.found: dict[str, str] = {}
        self._counts = counts
        self._seen: dict[int, Any] = {}  # the things too, so that no other gets their id
        self._waiting: list[Any] = []

    def follow_all(self, thing: Any) -> None:
        """Note what a class or function uses, then what that uses."""
        self._note("", thing, told=False)  # may be wrapped
        while self._waiting:
            one = self._waiting.pop()
            if id(one) in self._seen:
                continue
            self._seen[id(one)] = one
            if inspect.isclass(one):
                self._class(one)
            else:
                self._function(one)

    def _class(self, kind: type) -> None:
        if not self._counts(kind.__module__):
            return
        for name, value in list(vars(kind).items()):
            self._note(f"{kind.__module__}.{kind.__qualname__}:{name}", value, _is_public(name))
        self._waiting += kind.__mro__[1:-1]

    def _function(self, function: FunctionType) -> None:
        if (inner := inspect.unwrap(function)) is not function and inspect.isfunction(inner):
            self._waiting.append(inner)
        home = function.__globals__.get("__name__", "")
        if not self._counts(home):  # a wrapper of a library's
            return
        place = f"{home}.{function.__qualname__}"
        for name, cell in zip(
            function.__code__.co_freevars, function.__closure__ or (), strict=True
        ):
            self._note(f"{place}:{name}", _content(cell))
        defaults = {str(at): value for at, value in enumerate(function.__defaults__ or ())}
        for name, value in (defaults | (function.__kwdefaults__ or {})).items():
            self._note(f"{place}(){name}", value)
        for text in filter(_names_a_file, _texts(function.__code__)):
            self.found[f"{place} {text}"] = plain(text)
        self._names(home, function.__globals__, set(words_of(function.__code__)), set())

    def _names(
        self, home: str, names: Mapping[str, Any], words: set[str], passed: set[str]
    ) -> None:
        """Note the values among the names of a module that are used, and of modules among them."""
        passed.add(home)
        package = names.get("__package__") or ""
        for word in words:
            value = names.get(word, sys.modules.get(word, sys.modules.get(f"{package}.{word}")))
            if not isinstance(value, ModuleType):
                self._note(f"{home}:{word}", value, _is_public(word))
            elif value.__name__ not in passed and self._counts(value.__name__):
                self._names(value.__name__, vars(value), words, passed)

    def _note(self, name: str, value: Any, told: bool = True) -> None:
        """Note a value where it is to be told, and in any case what code it leads to."""
        if inspect.isfunction(value) or inspect.isclass(value):
            self._waiting.append(value)
        elif isinstance(value, _WRAPPERS):
            for held in (held for held in _HELD if hasattr(value, held)):
                self._note(f"{name}.{held}", getattr(value, held), told)
        elif told and (told_as := _told(name, value)) != LEFT_OUT:
            self.found[name] = told_as
        elif isinstance(value, dict | list | tuple):
            parts = value.values() if isinstance(value, dict) else value
            self._waiting += [one for one in parts if inspect.isfunction(one)]
        elif told and self._is_record(value) and id(value) not in self._seen:
            self._seen[id(value)] = value
            self._record(name, value)

    def _record(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Module):
            self.found[name] = weights_hash(value)
            for place, layer in value.named_modules():
                self._attributes(f"{name}.{place}", layer)
        else:
            self._attributes(name, value)

    def _attributes(self, name: str, value: Any) -> None:
        kind = type(value)
        self.found[f"{name} is"] = f"{kind.__module__}.{kind.__qualname__}"
        if isinstance(value, torch.jit.ScriptModule):
            self.found[f"{name} does"] = scripted_hash(value)
            return
        self._waiting.append(kind)
        for attribute, held in list(getattr(value, "__dict__", {}).items()):
            if attribute != "training":  # of networks
                self._note(f"{name}.{attribute}", held, _is_public(attribute))

    def _is_record(self, value: Any) -> bool:
        own = self._counts(type(value).__module__) or isinstance(value, (*_RECORDS, nn.Module))
        return own or dataclasses.is_dataclass(value)


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _content(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _texts(code: CodeType) -> Iterator[str]:
    for part in _codes(code):
        yield from (one for one in part.co_consts if isinstance(one, str))


def _names_a_file(text: str) -> bool:
    """Tell whether a text in code names a file; a folder may be where the code writes."""
    with any_text_may_name_files(False):
        path = named_file(text)
    return path is not None and path.is_file()


def _told(name: str, value: Any) -> str:
    try:
        return plain(value)
    except UndescribableError as error:
        raise UndescribableError(f"{name}: {error}") from error

"""Describe objects as plain data, for store keys and reproducible configs.

Convention: an object is a frozen dataclass, whose fields are its settings, or its constructor keeps
every argument in an attribute of the same name (as scikit-learn's ``get_params``). So one function
can describe every attack, part, saliency provider and data set. Two things that may act differently
have different descriptions, or are refused by name. Of an object from outside the package count
also its code (:mod:`project.core.source_code`), the files that its arguments name, and all its
public attributes; private ones, with a leading underscore, and cached properties are taken to
follow from these.
"""

from __future__ import annotations

import enum
import hashlib
import inspect
import json
import math
import re
import weakref
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from datetime import date, datetime, time, timedelta, tzinfo
from decimal import Decimal
from fractions import Fraction
from functools import _lru_cache_wrapper, cached_property, partial
from pathlib import Path, PurePath
from types import (
    BuiltinFunctionType,
    FunctionType,
    MethodDescriptorType,
    MethodType,
    WrapperDescriptorType,
)
from typing import Any
from uuid import UUID

import numpy as np
import torch
from torch import nn

from project.core.arrays import array_told, tensor_told, weights_hash
from project.core.contents import any_text_may_name_files, told_path, told_text
from project.core.errors import UndescribableError
from project.core.layer_kinds import hooks_of, layer_kind, scripted_hash
from project.core.source_code import (
    PACKAGE,
    code_of,
    library_of,
    nameless,
    require_findable,
)

IDENTITY_VERSION = 3
"""Part of every store key: raised whenever the description of an unchanged object changes."""

_TOLD_BY_REPR = (
    *(complex, bytes, range, Decimal, Fraction, UUID, date, datetime, time, timedelta, tzinfo),
    *(torch.dtype, torch.device, torch.layout, torch.memory_format, np.dtype),
)
"""Types that ``repr`` tells apart, all of them."""


def describe(thing: Any) -> Any:
    """Describe a value as JSON-able data, objects as their class and constructor arguments.

    An object with a ``fingerprint() -> str`` adds what its arguments do not say (weights, files).

    Args:
        thing: a plain value, a container, a function, a network, or an object that follows the
            convention above.

    Returns:
        Nested dictionaries, lists and scalars.

    Raises:
        UndescribableError: naming what cannot be told from another of its kind, such as a lambda.
    """
    try:
        with any_text_may_name_files(False):  # whatever asks, as a fingerprint() of another's
            return _description(thing)
    except RecursionError as error:
        raise UndescribableError(
            f"{_kind(thing)} holds itself, at some depth, so it has no end to be described to. "
            "Keep what refers back in a private attribute."
        ) from error


def _description(thing: Any) -> Any:
    if thing is None or type(thing) in (bool, int):
        return thing
    if type(thing) is float:
        return thing if math.isfinite(thing) else {"float": repr(thing)}  # NaN equals nothing
    if type(thing) is str:
        return told_text(thing)
    for kinds, told in _OF_KINDS:
        if isinstance(thing, kinds):
            return told(thing)
    return _object(thing)


def public_name(thing: type | FunctionType) -> str:
    """Return the public name of a class or function, whatever file it is defined in.

    For the package's own classes and functions it is the subpackage and the name, such as
    ``project.attacks.PGD``, as configs write it. Names are unique within a subpackage (a test sees
    to it), so moving a file loses no stored image. Anything else has its full module path.
    """
    package, *inside = thing.__module__.split(".")
    home = f"{package}.{inside[0]}" if package == PACKAGE and inside else thing.__module__
    return f"{home}.{thing.__qualname__}"


def digest(description: Any) -> str:
    """Return the SHA-256 of a description, as 64 hexadecimal digits."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _mapping(thing: Mapping[Any, Any]) -> dict[str, Any]:
    pairs = [[_description(key), _description(value)] for key, value in thing.items()]
    return {"mapping": pairs} | _unless(type(thing), dict)


def _sequence(thing: Iterable[Any]) -> Any:
    values = [_description(value) for value in thing]
    # Lists and tuples are one, since a config has lists only.
    return values if type(thing) in (list, tuple) else {"values": values} | _class(type(thing))


def _set(thing: Iterable[Any]) -> dict[str, Any]:
    return {"set": sorted((_description(one) for one in thing), key=digest)}


def _enum(thing: enum.Enum) -> dict[str, Any]:
    # By value too, since a combination of flags may have no name.
    return _class(type(thing)) | {"name": thing.name, "value": _description(thing.value)}


def _tensor(thing: torch.Tensor) -> dict[str, Any]:
    return tensor_told(thing) | _unless(type(thing), torch.Tensor)


def _array(thing: np.ndarray[Any, Any] | np.generic) -> dict[str, Any]:
    array = np.asarray(thing)
    if array.dtype.hasobject:
        return {"array": "object", "shape": list(array.shape), "values": _sequence(array.tolist())}
    if isinstance(thing, np.ma.MaskedArray):
        return {"masked": _array(array), "mask": _array(np.ma.getmaskarray(thing))}
    return array_told(array) | _unless(type(thing), np.ndarray)


def _partial(thing: partial[Any]) -> dict[str, Any]:
    with any_text_may_name_files(_is_anybodys(thing.func)):
        arguments = {"args": _description(thing.args), "keywords": _description(thing.keywords)}
    return {"partial": _description(thing.func)} | arguments | _unless(type(thing), partial)


def _method(thing: MethodType) -> dict[str, Any]:
    owner = thing.__self__
    known = inspect.getattr_static(owner, thing.__name__, None)
    if getattr(known, "__func__", known) is not thing.__func__:
        raise nameless(thing)
    return {"method": thing.__name__, "of": _description(owner)}


def _builtin(thing: BuiltinFunctionType) -> dict[str, Any]:
    owner = thing.__self__
    if owner is None or inspect.ismodule(owner) or inspect.isclass(owner):
        home = getattr(owner, "__name__", None) or thing.__module__
        return {"function": f"{home}.{thing.__qualname__}"}
    return {"method": thing.__name__, "of": _description(owner)}


def _unbound(thing: MethodDescriptorType | WrapperDescriptorType) -> dict[str, str]:
    return {"function": f"{public_name(thing.__objclass__)}.{thing.__name__}"}


def _plain_repr(thing: Any) -> str:
    told = repr(thing)
    if " at 0x" in told:  # a part of it that has no repr of its own
        raise UndescribableError(f"{told} cannot be told from another {_kind(thing)}.")
    return told


def _function(thing: Any) -> Any:
    """Tell a function or class by its name, and by its code where it is nobody's library."""
    require_findable(thing)
    code = code_of(thing)
    return {"name": public_name(thing), "code": code} if code else public_name(thing)


def _class(kind: type) -> dict[str, str]:
    require_findable(kind)
    code = code_of(kind)
    return {"class": public_name(kind)} | ({"code": code} if code else {})


def _unless(kind: type, usual: type) -> dict[str, str]:
    return {} if kind is usual else _class(kind)


def _network(thing: nn.Module) -> dict[str, Any]:
    """Tell a network by its layers, their plain attributes, their code and all weights."""
    placed = thing.named_modules(remove_duplicate=False)  # one may stand in several places
    layers = [[name, *_layer(module)] for name, module in placed]
    about = {"layers": digest(layers)}
    if _is_own(type(thing)):
        return _object(thing) | about  # its fingerprint tells the weights
    about["weights"] = weights_hash(thing)
    own = _object(thing) if hasattr(thing, "fingerprint") else {"class": _layer_name(thing)}
    return own | about


def _layer(module: nn.Module) -> list[Any]:
    if isinstance(module, torch.jit.ScriptModule):
        return [scripted_hash(module)]
    hooks = _description(hooks_of(module))
    told = [_layer_name(module), _class(layer_kind(module)).get("code", ""), hooks]
    if isinstance(module, torch.fx.GraphModule):
        return [*told, module.code]  # written from its graph, which says all
    values = {
        name: value
        for name, value in vars(module).items()
        if name not in _OF_EVERY_MODULE and not _is_cached(type(module), name)
    }
    chosen = {name: value.__name__ for name, value in values.items() if _is_of(module, value)}
    rest = {name: value for name, value in values.items() if name not in chosen}
    anybodys = _is_anybodys(layer_kind(module))
    token = _in_layer_of_library.set(not anybodys)
    try:
        with any_text_may_name_files(anybodys):
            return [*told, _description(rest), *([chosen] if chosen else [])]
    finally:
        _in_layer_of_library.reset(token)


_in_layer_of_library: ContextVar[bool] = ContextVar("in_layer_of_library", default=False)
"""Whether what is described is held by a library's layer, whose settings are words of its own."""


def _is_of(module: nn.Module, value: Any) -> bool:
    """Tell whether it is a method of the layer itself, such as the ``forward`` it chose."""
    own = isinstance(value, MethodType) and value.__self__ is module
    return own and getattr(type(module), value.__name__, None) is value.__func__


def _layer_name(module: nn.Module) -> str:
    scripted = isinstance(module, torch.jit.ScriptModule)
    return f"scripted {module.original_name}" if scripted else public_name(layer_kind(module))


_OF_EVERY_MODULE = {*vars(nn.Module())}


def _object(thing: Any) -> dict[str, Any]:
    kind = type(thing)
    description: dict[str, Any] = _class(kind)
    names = _argument_names(kind)
    lost = next((name for name in names if not hasattr(thing, name)), None)
    if lost is not None:
        if isinstance(thing, nn.Module) or not _is_plain_of_library(kind):
            raise UndescribableError(
                f"{public_name(kind)} must keep its constructor argument {lost!r} as an "
                "attribute of that name, so that it can be described. Store it in __init__."
            )
        names = []  # a library's object can't be asked to; whatever it holds tells it
    for name in names:
        description[name] = _argument(kind, name, getattr(thing, name))
    if not _is_own(kind) and not isinstance(thing, nn.Module):
        for name, value in _state(thing, private=not names).items():
            if name not in names:
                description[name] = _argument(kind, name, value)
    if hasattr(thing, "fingerprint"):
        description["fingerprint"] = thing.fingerprint()
    return description


def _argument(kind: type, name: str, value: Any) -> Any:
    own = [base for base in kind.__mro__ if _is_own(base)]  # their fields keep their words
    inherited = any(name in getattr(base, "__dataclass_fields__", ()) for base in own)
    outside = not inherited and not _is_own(kind)
    of_library = _is_layer_of_library(kind) or (
        _in_layer_of_library.get() and not _is_anybodys(kind)
    )
    try:
        with any_text_may_name_files(outside and not of_library):
            return _description(value)
    except UndescribableError as error:
        raise UndescribableError(f"{public_name(kind)}.{name}: {error}") from error


def _state(thing: Any, private: bool) -> dict[str, Any]:
    """Return an object's attributes, the private ones only where there is nothing else to go by."""
    slots = [name for base in type(thing).__mro__ for name in _slots(base) if hasattr(thing, name)]
    if not slots and not hasattr(thing, "__dict__") and not _is_stateless(thing):
        raise UndescribableError(
            f"a {_kind(thing)} keeps its state where it cannot be read, so that another one would "
            "pass for it. Give plain arguments and make it of them, or give the object that needs "
            "it a fingerprint()."
        )
    held = {name: getattr(thing, name) for name in slots} | dict(getattr(thing, "__dict__", {}))
    return {
        name: value
        for name, value in held.items()
        if (private or not name.startswith("_")) and not _is_cached(type(thing), name)
    }


def _slots(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    named = (slots,) if isinstance(slots, str) else tuple(slots)
    return tuple(name for name in named if name not in ("__dict__", "__weakref__"))


def _is_own(kind: type) -> bool:
    return kind.__module__.partition(".")[0] == PACKAGE


def _is_anybodys(thing: Any) -> bool:
    """Tell whether a class or function is neither the package's nor a library's."""
    home = getattr(thing, "__module__", None) or "builtins"
    return home.partition(".")[0] != PACKAGE and library_of(home) is None


def _is_layer_of_library(kind: type) -> bool:
    return issubclass(kind, nn.Module) and not _is_anybodys(kind)


def _is_plain_of_library(kind: type) -> bool:
    """Tell whether a library's class is written in Python, so that its attributes are its state."""
    library = None if _is_own(kind) else library_of(kind.__module__)
    constructor: Any = kind.__new__
    return library is not None and constructor is object.__new__


def _is_stateless(thing: Any) -> bool:
    return type(thing).__basicsize__ == object.__basicsize__ and not type(thing).__itemsize__


def _is_cached(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name, None), cached_property)


def _argument_names(kind: type) -> list[str]:
    # An abstract class without a constructor of its own would show (*args, **kwargs).
    own = {name for base in kind.__mro__[:-1] for name in vars(base)}
    if not own.intersection(("__init__", "__new__")):
        return []
    try:
        return list(inspect.signature(kind).parameters)
    except ValueError as error:
        raise UndescribableError(
            f"{public_name(kind)} does not say what it was made of, so that another one would pass "
            "for it. Give plain arguments and make it of them, or wrap it in a class of your own "
            "with a fingerprint()."
        ) from error


def _kind(thing: Any) -> str:
    return public_name(type(thing))


_OF_KINDS: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (enum.Enum, _enum),
    (_TOLD_BY_REPR, lambda thing: {"value": _plain_repr(thing)} | _class(type(thing))),
    (re.Pattern, lambda thing: {"pattern": _description(thing.pattern), "flags": thing.flags}),
    (Path, told_path),
    (PurePath, lambda thing: {"path": str(thing)}),
    ((np.ndarray, np.generic), _array),
    ((bool, int, float, str), lambda thing: {"value": repr(thing)} | _class(type(thing))),
    (torch.Tensor, _tensor),
    (Mapping, _mapping),
    ((set, frozenset), _set),
    ((list, tuple), _sequence),
    (partial, _partial),
    (weakref.ReferenceType, lambda thing: {"weak": _description(thing())}),
    (MethodType, _method),
    (BuiltinFunctionType, _builtin),
    ((MethodDescriptorType, WrapperDescriptorType), _unbound),
    ((FunctionType, type, _lru_cache_wrapper), _function),
    (nn.Module, _network),
)
"""What a thing of a kind is told by, the first that fits."""

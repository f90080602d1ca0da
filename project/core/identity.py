"""Describe objects as plain data, for store keys and reproducible configs.

Convention: an object is a frozen dataclass, whose fields are its settings, or its constructor keeps
every argument in an attribute of the same name (as scikit-learn's ``get_params``). So one function
can describe every attack, part, saliency provider and data set.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from types import FunctionType
from typing import Any

import torch
from torch import nn

IDENTITY_VERSION = 2
"""Part of every store key: raised whenever the description of an unchanged object changes."""

_PACKAGE = __name__.partition(".")[0]


def describe(thing: Any) -> Any:
    """Describe a value as JSON-able data, objects as their class and constructor arguments.

    An object with a ``fingerprint() -> str`` adds what its arguments do not say (weights, files).

    Args:
        thing: a plain value, a container, or an object that follows the convention above.

    Returns:
        Nested dictionaries, lists and scalars.

    Raises:
        TypeError: if an object does not keep a constructor argument under its own name.
    """
    if thing is None or isinstance(thing, bool | int | float | str):
        return thing
    if isinstance(thing, Path):
        return str(thing)
    if isinstance(thing, Mapping):
        return {str(key): describe(value) for key, value in thing.items()}
    if isinstance(thing, list | tuple):
        return [describe(value) for value in thing]
    if inspect.isfunction(thing) or inspect.isclass(thing):
        if "<" in thing.__qualname__:
            raise TypeError(
                f"{thing.__qualname__} must be defined at module level, so that its name says what "
                "it is: all lambdas and inner functions look alike."
            )
        return public_name(thing)
    if isinstance(thing, nn.Module) and not hasattr(thing, "fingerprint"):
        return {"class": public_name(type(thing)), "fingerprint": weights_hash(thing)}
    return _describe_object(thing)


def public_name(thing: type | FunctionType) -> str:
    """Return the public name of a class or function, whatever file it is defined in.

    For the package's own classes and functions it is the subpackage and the name, such as
    ``project.attacks.PGD``, as configs write it. Names are unique within a subpackage (a test sees
    to it), so moving a file loses no stored image. Anything else has its full module path.
    """
    package, *inside = thing.__module__.split(".")
    home = f"{package}.{inside[0]}" if package == _PACKAGE and inside else thing.__module__
    return f"{home}.{thing.__qualname__}"


def digest(description: Any) -> str:
    """Return the SHA-256 of a description, as 64 hexadecimal digits."""
    text = json.dumps(description, sort_keys=True, ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def weights_hash(module: nn.Module) -> str:
    """Return the SHA-256 of all parameters and buffers, with their names, types and shapes."""
    sha = hashlib.sha256()
    # Sorted, so that the order in which a network registers its layers does not change the hash.
    for name, value in sorted([*module.named_parameters(), *module.named_buffers()]):
        array = value.detach().cpu().contiguous()
        sha.update(f"{name} {array.dtype} {tuple(array.shape)}".encode())
        sha.update(array.flatten().view(torch.uint8).numpy().tobytes() if array.numel() else b"")
    return sha.hexdigest()


def _describe_object(thing: Any) -> dict[str, Any]:
    description: dict[str, Any] = {"class": public_name(type(thing))}
    for name in _argument_names(type(thing)):
        if not hasattr(thing, name):
            raise TypeError(
                f"{public_name(type(thing))} must keep its constructor argument {name!r} as an "
                "attribute of that name, so that it can be described. Store it in __init__."
            )
        description[name] = describe(getattr(thing, name))
    if hasattr(thing, "fingerprint"):
        description["fingerprint"] = thing.fingerprint()
    return description


def _argument_names(kind: type) -> list[str]:
    # An abstract class without a constructor of its own would show (*args, **kwargs).
    if "__init__" not in {name for base in kind.__mro__[:-1] for name in vars(base)}:
        return []
    return list(inspect.signature(kind).parameters)

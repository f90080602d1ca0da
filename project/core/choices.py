"""Look up one of several named options, with an error that lists them all."""

from collections.abc import Iterable, Mapping
from typing import TypeVar, overload

from project.core.errors import InputError

Name = TypeVar("Name")
Option = TypeVar("Option")


@overload
def choose(name: str, options: Mapping[str, Option], value: str) -> Option: ...


@overload
def choose(name: str, options: Iterable[object], value: Name) -> Name: ...


def choose(name: str, options: Iterable[object], value: object) -> object:
    """Return the option that a value names, or refuse the value.

    The CLI checks a ``Literal`` by itself; constructors called from Python are checked here.

    Args:
        name: the parameter's name, as the error writes it.
        options: a mapping from the accepted values to what they stand for, or the accepted values
            themselves, such as ``get_args`` of a ``Literal``.
        value: the value given.

    Returns:
        The option of a mapping; the value itself otherwise.

    Raises:
        InputError: if the value is none of the options.
    """
    known = list(options)
    if value not in known:
        raise InputError(f"{name} must be one of {', '.join(map(str, known))}, got {value!r}.")
    return options[value] if isinstance(options, Mapping) else value

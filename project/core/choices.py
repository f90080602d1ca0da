"""Look up one of several named options, with an error that lists them all."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
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
        near = nearest(value, known)
        raise InputError(
            f"{name} must be one of {', '.join(map(str, known))}, got {value!r}."
            f"{f' Do you mean {near}?' if near else ''}"
        )
    return options[value] if isinstance(options, Mapping) else value


def nearest(value: object, options: Iterable[object]) -> str | None:
    """Return the option that a misspelt text is most like, None where it is like none."""
    if not isinstance(value, str):
        return None
    # Compared in small letters: "PSNR" is "psnr".
    names = {str(option).lower(): str(option) for option in options}
    close = get_close_matches(value.lower(), names, 1)
    return names[close[0]] if close else None

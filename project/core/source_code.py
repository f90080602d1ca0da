"""What code a class or function outside the package runs, as a hash of its source.

Convention: the code of the package itself is known by versions that are raised by hand
(``ATTACKS_VERSION``), the code of installed libraries by the checksums that their installer wrote
down, and everybody else's code by its source: the file that defines it, and every file that this
one imports, at any depth, that is neither the package's nor an installed library's. So a changed
default in a helper module counts, and so do the values that a script sets at run time
(:mod:`project.core.values_in_use`). What a module loads by a name made at run time does not.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import inspect
import json
import linecache
import platform
import sys
import sysconfig
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from project.core.contents import content_hash
from project.core.errors import UndescribableError
from project.core.values_in_use import functions_of, values_in_use, words_of

PACKAGE = __name__.partition(".")[0]
_PATHS = sysconfig.get_paths()


def code_of(thing: Any) -> str:
    """Return what tells a class's or function's code from another version of it.

    Args:
        thing: a class, whose bases count too, or a function.

    Returns:
        The empty string for the package's own; name and checksum of a library; else a SHA-256.

    Raises:
        UndescribableError: if there is no source, as of what was typed into a plain interpreter.
    """
    if (thing.__module__ or "").partition(".")[0] == PACKAGE:
        return ""
    bases = thing.__mro__[:-1] if inspect.isclass(thing) else ()
    kinds = [thing, *bases]
    told = dict.fromkeys(_code_of_one(one) for one in kinds)
    return "; ".join(filter(None, told))


def code_of_module(name: str) -> str:
    """Return a hash of anybody's own module and of what it imports, without running any of it.

    The empty string for what is the package's, a library's, or nowhere.
    """
    try:
        sources = _sources(name)
    except (ImportError, ValueError, OSError):  # whoever imports it says what is wrong
        return ""
    return _hashed(sources) if sources else ""


def library_of(module: str) -> str | None:
    """Return name and checksum of the installed library of a module, None of anybody's own code."""
    return _library_at(module, _file_of(module))


def require_findable(thing: Any) -> None:
    """Refuse what its name does not lead to: lambdas, inner functions and classes, wrapped ones.

    Args:
        thing: a class or a function.

    Raises:
        UndescribableError: naming it.
    """
    home = thing.__module__ or ""
    found: Any = sys.modules.get(home)
    inside = "<" in thing.__qualname__
    # The package's own are told by public names, which a test sees to be unique.
    if not inside and home.partition(".")[0] != PACKAGE:
        for part in thing.__qualname__.split("."):
            found = getattr(found, part, None)
        inside = found is not thing
    if inside:
        raise nameless(thing)


def nameless(thing: Any) -> UndescribableError:
    """Return the error of what its name does not lead to."""
    return UndescribableError(
        f"{thing.__qualname__} must be defined at module level, under its own name, so that its "
        "name says what it is: all lambdas and inner functions look alike, and so do inner "
        "classes and wrapped functions."
    )


def _code_of_one(thing: Any) -> str:
    home = thing.__module__ or "builtins"
    if home.partition(".")[0] == PACKAGE:
        return ""
    library = library_of(home)
    if library is not None:
        return library
    if _file_of(home) is None:
        held = values_in_use(thing, lambda module: module == home or _is_in_own_file(module))
        return _hashed([_typed(thing), held])
    return _hashed([_sources(home), values_in_use(thing, _is_in_own_file)])


def _sources(module: str) -> dict[str, str]:
    return {name: content_hash(path) for name, path in _own_files(module).items()}


def _is_in_own_file(module: str) -> bool:
    is_own = module.partition(".")[0] == PACKAGE or library_of(module) is not None
    return not is_own and _file_of(module) is not None


@cache
def _library_at(module: str, path: Path | None) -> str | None:
    top = module.partition(".")[0]
    if path is None:
        known = top in sys.stdlib_module_names and top != "__main__"
        return f"python {platform.python_version()}" if known else None
    if any(path.is_relative_to(_PATHS[name]) for name in ("purelib", "platlib")):
        return _distribution(top)
    in_python = any(path.is_relative_to(_PATHS[name]) for name in ("stdlib", "platstdlib"))
    return f"python {platform.python_version()}" if in_python else None


@cache
def _distribution(top: str) -> str | None:
    """Return a library's name, version and a hash of the checksums of its files.

    The version alone would not do: one's own package is often installed anew under the old one.
    """
    names = _distributions().get(top, [])
    if not names:
        return None
    found = importlib.metadata.distribution(sorted(names)[0])
    lines = (found.read_text("RECORD") or "").splitlines()
    code = sorted(line for line in lines if "sha256=" in line and not line.startswith(".."))
    return f"{found.name} {found.version} {hashlib.sha256(repr(code).encode()).hexdigest()[:16]}"


@cache
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()


def _file_of(module: str) -> Path | None:
    """Return a module's file, without importing it; None where it has none, as a notebook."""
    loaded = sys.modules.get(module)
    if loaded is not None:
        file = getattr(loaded, "__file__", None)
        return Path(file) if file and Path(file).is_file() else None
    folders, found = None, None
    parts = module.split(".")
    for depth in range(len(parts)):
        found = PathFinder.find_spec(".".join(parts[: depth + 1]), folders)
        if found is None:
            return None
        folders = list(found.submodule_search_locations or [])
    origin = Path(found.origin) if found and found.origin else None
    return origin if origin and origin.is_file() else None


def _own_files(module: str) -> dict[str, Path]:
    """Return the file of a module and of all that it imports, but of no library's."""
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        top = name.partition(".")[0]
        if name in found or top == PACKAGE or library_of(top) is not None:
            continue
        path = _file_of(name)
        if path is not None and _library_at(name, path) is None:
            found[name] = path
            waiting += _imports(path, name, path.stat().st_mtime_ns)
    return found


@lru_cache(1024)
def _imports(path: Path, module: str, changed: int) -> list[str]:
    """Return the names that a file imports, anywhere in it; some are of no module."""
    if path.suffix != ".py":
        return []  # compiled: its bytes are hashed, and that is all that can be seen
    inside = module if path.name == "__init__.py" else module.rpartition(".")[0]
    try:
        nodes = list(ast.walk(ast.parse(path.read_bytes())))
    except SyntaxError:  # not of this Python, so nothing runs it
        return []
    names: list[str] = []
    for node in nodes:
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = inside.split(".") if inside else []
            above = parts[: len(parts) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            names += [base, *(f"{base}.{alias.name}" for alias in node.names)]
    return [name for name in names if name]


def _typed(thing: Any) -> dict[str, str]:
    """Return the source of what was typed into a notebook, and of all that it names there.

    A notebook keeps the text of its cells; a plain interpreter and ``exec`` do not.
    """
    home = sys.modules.get(thing.__module__ or "")
    found: dict[str, str] = {}
    waiting = [(thing.__qualname__, thing)]
    while waiting:
        name, one = waiting.pop()
        if name in found or getattr(one, "__module__", None) != thing.__module__:
            continue
        parts = list(functions_of(one))
        found[name] = "\n".join(_text_of(part, thing) for part in parts)
        found[name] += repr(sorted(_constants(one).items()))
        used = {word for part in parts for word in words_of(part.__code__)}
        for word in sorted(used.intersection(vars(home) if home else ())):
            value = vars(home)[word]
            if isinstance(value, bool | int | float | str | tuple):
                found.setdefault(word, repr(value))
            elif inspect.isfunction(value) or inspect.isclass(value):
                waiting.append((word, value))
            elif not isinstance(value, ModuleType):
                raise UndescribableError(
                    f"{thing.__qualname__} uses {word!r} of the notebook, a "
                    f"{type(value).__name__}, which cannot be told from another of its kind. Give "
                    "it as an argument, or move the code into a file."
                )
    return found


def _constants(thing: Any) -> dict[str, str]:
    values = vars(thing) if inspect.isclass(thing) else {}
    plain = (bool, int, float, str, tuple)
    return {n: repr(v) for n, v in values.items() if isinstance(v, plain) and n[:2] != "__"}


def _text_of(function: FunctionType, thing: Any) -> str:
    if function.__code__.co_filename == "<string>" and function.__name__.startswith("__"):
        return ""  # what a dataclass makes of its fields
    linecache.checkcache(function.__code__.co_filename)
    try:
        return inspect.getsource(function)
    except OSError as error:
        raise UndescribableError(
            f"the source of {thing.__module__}.{thing.__qualname__} is nowhere to be read, so that "
            "another version of it would pass for this one. Move it into a file, and import it."
        ) from error


def _hashed(sources: Any) -> str:
    return hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()

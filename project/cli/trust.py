"""Which classes a config may name: it can come from somebody else, and building a class runs code.

Importing a module runs it too. So the rule has two halves.

1. Of what may be imported, by any name in a config: everything but Python's standard library (which
   holds ``os.system``, ``pickle.loads`` and modules that start programs on import) and ``__main__``
   modules. What is installed, or stands in the user's own folders, may.
2. Of what may be built, by a ``class_path`` with its arguments: classes only. A function is handed
   on as it is, where a field takes one, and never called with arguments of the file. Of installed
   libraries only classes of the kinds that an experiment or a training is made of. jsonargparse
   itself checks that a class is of its field's own kind, such as an attack or a callback.

A run's folder from somebody else gets less: see :mod:`project.cli.foreign`.
"""

from __future__ import annotations

import importlib.abc
import inspect
import os
import sys
import sysconfig
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lightning as L
from jsonargparse import Namespace, set_parsing_settings
from lightning.fabric.plugins import CheckpointIO, ClusterEnvironment
from lightning.pytorch.accelerators import Accelerator
from lightning.pytorch.loggers import Logger
from lightning.pytorch.plugins import LayerSync, Precision
from lightning.pytorch.profilers import Profiler
from lightning.pytorch.strategies import Strategy
from torch import nn

from project.core.errors import InputError

KINDS: tuple[type, ...] = (
    nn.Module,  # victims, their networks, trainings
    L.LightningDataModule,
    L.Callback,
    Accelerator,
    CheckpointIO,
    ClusterEnvironment,
    LayerSync,
    Logger,
    Precision,
    Profiler,
    Strategy,
)
"""What classes of installed libraries must be to be built by a config, unless they derive from one
of Mirage's own."""


def restrict() -> None:
    """Keep names in configs from importing Python's standard library, and weights from code.

    Both hold for the whole process: libraries load weights by many ways of their own, and only
    torch's own switch reaches all of them.
    """
    set_parsing_settings(
        import_path_denylist=sorted(sys.stdlib_module_names),
        # Otherwise any class at all is built where a field takes any value.
        instantiate_subclass_spec_in_any=False,
    )
    os.environ.pop("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", None)  # torch refuses both at once
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"


@contextmanager
def no_programs() -> Iterator[None]:
    """Refuse to import ``__main__`` modules, which are programs, while a config is parsed."""
    finder = _NoPrograms()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _NoPrograms(importlib.abc.MetaPathFinder):
    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        if fullname.rpartition(".")[2] == "__main__":
            raise ImportError(f"{fullname} is a program, which a config may not start")


def require_buildable(config: Any) -> None:
    """Refuse a parsed config that would build anything but classes of the right kinds.

    Args:
        config: the parsed config, before its classes are built.

    Raises:
        InputError: with the ``class_path`` and where it stands.
    """
    for where, named in class_paths(config):
        found = _imported(named)
        if not inspect.isclass(found):
            raise InputError(
                f"{where}.class_path must name a class, got {named!r}, which is none. A "
                "config never calls a function with arguments; name a class, or the function alone "
                "where one is taken."
            )
        if not (_of_the_user(found) or issubclass(found, KINDS) or _derived(found)):
            raise InputError(
                f"{where}.class_path must name a class that experiments are made of (an attack, a "
                f"victim, a saliency provider, a module of torch, a callback …), got {named!r}, "
                "which is none. Write a class of your own that uses it."
            )


def class_paths(config: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield each ``class_path`` of a config with the place where it stands, at any depth."""
    if isinstance(config, Namespace):
        config = vars(config)
    if isinstance(config, Mapping):
        named = config.get("class_path")
        if isinstance(named, str):
            yield where or "the config", named
        for key, value in config.items():
            yield from class_paths(value, f"{where}.{key}" if where else str(key))
    elif isinstance(config, Sequence | set | frozenset) and not isinstance(config, str | bytes):
        for place, value in enumerate(config):
            yield from class_paths(value, f"{where}[{place}]")


def _imported(named: str) -> Any:
    """Return what a path names; parsing has imported its module, so none is imported here."""
    parts = named.split(".")
    for end in range(len(parts) - 1, 0, -1):
        found: Any = sys.modules.get(".".join(parts[:end]))
        if found is not None:
            for part in parts[end:]:
                found = getattr(found, part, None)
            return found
    return None


def _derived(kind: type) -> bool:
    """Return whether a class is one of Mirage's, or derives from one."""
    return any(base.__module__.split(".")[0] == "project" for base in kind.__mro__)


def _of_the_user(kind: type) -> bool:
    """Return whether a class stands in a module that is not installed, such as a user's own."""
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if file is None:  # built into Python, or written in a notebook
        return kind.__module__ == "__main__"
    if {"site-packages", "dist-packages"}.intersection(Path(file).parts):
        return False
    return Path(sysconfig.get_path("stdlib")) not in Path(file).parents

"""The mark inside a checkpoint that says: its training has ended, and by which recipe it was made.

A training writes its best epoch as soon as it is there, so the file of one that was killed looks
like that of one that ended. The mark is put in at the end only, with the file, in one atomic step.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from project.core.identity import digest
from project.core.source_code import code_of_module
from project.core.yaml_files import read_yaml
from project.data.shapes import DRAWING_VERSION
from project.storage.files import replace_file

TRAINING_VERSION = 1
"""Raised whenever an unchanged recipe trains to other weights."""

_MARK = "mirage_finished"
_LIGHTNING = "pytorch-lightning_version"  # in every checkpoint of a training
_PACKAGES = ("mirage-attacks", "torch", "lightning", "timm", "segmentation-models-pytorch")
_WITHOUT_EFFECT = (  # on the weights
    "--trainer.enable_progress_bar",
    "--trainer.enable_model_summary",
    "--trainer.logger",
    "--trainer.default_root_dir",
    "--ckpt_path",
)
_KEYS_WITHOUT_EFFECT = {"logger", "default_root_dir", "ckpt_path"}
_CLASS_PATH = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)+")


def recipe_of(arguments: Sequence[str]) -> str:
    """Return a hash of all that decides a training's weights, so far as one can tell beforehand.

    That is what its configs say (data and seed among it), the other arguments, the content of the
    weight files that it starts from and of every other file that is named, such as a config inside
    a config, the source of classes outside the package, and the versions of the code.

    Args:
        arguments: of ``train.py``, with or without ``fit``.
    """
    configs, others = [], []
    named: dict[str, str] = {}
    rest = iter(arguments)
    for argument in rest:
        name, _, value = argument.partition("=")
        if name in ("--config", "-c"):
            path = Path(value or next(rest, ""))
            configs.append(_config(path))
            _note(configs[-1], path.parent, named)
        elif name.startswith(_WITHOUT_EFFECT):
            value or next(rest, "")
        elif argument != "fit":
            others.append(argument)
            _note(value or argument, Path(), named)
    files = sorted({found for content in configs for found in _weight_files(content)})
    further = {name: told for name, told in named.items() if name not in files}
    return digest(
        {
            "configs": configs,
            "arguments": others,
            "files": [[name, _hash_of(name)] for name in files],
            "code": [TRAINING_VERSION, DRAWING_VERSION, *map(_version, _PACKAGES)],
        }
        | ({"named": further} if further else {})  # so that recipes without any stay as they were
    )


def mark_finished(source: Path, path: Path, recipe: str) -> None:
    """Write a training's checkpoint with the mark, atomically.

    Args:
        source: the checkpoint that the training has written.
        path: where it is to be; may be the same.
        recipe: as :func:`recipe_of` returns it.
    """
    checkpoint = torch.load(source, map_location="cpu", weights_only=True)
    content = io.BytesIO()
    torch.save(checkpoint | {_MARK: {"recipe": recipe}}, content)
    replace_file(path, content.getvalue())


def why_unfinished(path: Path, recipe: str) -> str:
    """Return why a checkpoint cannot stand for the end of a training; empty if it can.

    A file of weights that no training here has written, as from elsewhere, is taken as it is.

    Args:
        path: the checkpoint.
        recipe: the one by which it would be made now.
    """
    if not path.is_file():
        return "it is not there"
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # torch fails in many ways on a damaged file
        return "it cannot be read"
    if not isinstance(content, dict) or _LIGHTNING not in content:
        return ""
    if _MARK not in content:
        return "it does not say that its training has ended"
    if content[_MARK]["recipe"] != recipe:
        return "it was made by another recipe, from other weights or by another version"
    return ""


def _config(path: Path) -> Any:
    try:
        return read_yaml(path)
    except (OSError, ValueError):
        return str(path)  # the training itself says what is wrong


def _note(content: Any, folder: Path, named: dict[str, str]) -> None:
    """Note the hash of each file and of each class's source that a config names, at any depth.

    Args:
        content: of a config.
        folder: where the config lies, to which names may be relative, as to the working folder.
        named: what is noted so far, by its name.
    """
    if isinstance(content, dict):
        for key, value in content.items():
            if key not in _KEYS_WITHOUT_EFFECT:
                _note(value, folder, named)
    elif isinstance(content, list):
        for value in content:
            _note(value, folder, named)
    elif isinstance(content, str) and content not in named:
        if _CLASS_PATH.fullmatch(content) and (code := code_of_module(content.rpartition(".")[0])):
            named[content] = code
        for place in (Path(), folder):
            path = place / os.path.expandvars(os.path.expanduser(content))
            if content and len(content) < 1024 and "\0" not in content and path.is_file():
                named[content] = named.get(content, "") + _hash_of(str(path))
                if path.suffix in (".yaml", ".yml"):
                    _note(_config(path), path.parent, named)
                break


def _weight_files(content: Any) -> Iterator[str]:
    """Yield the weight files that a config names."""
    parts: Any = content.items() if isinstance(content, dict) else ()
    if isinstance(content, list):
        parts = enumerate(content)
    for key, value in parts:
        if isinstance(value, str) and str(key).endswith("checkpoint"):
            yield value
        yield from _weight_files(value)


def _hash_of(name: str) -> str:
    path = Path(os.path.expandvars(os.path.expanduser(name)))
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""

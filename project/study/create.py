"""Making a study once, and opening it again by the same command."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from project.core.errors import InputError
from project.report.run import Run
from project.study.database import Database, create
from project.study.settings import Settings
from project.study.stimuli import settled, stimuli

SUFFIX = ".sqlite"
_LEFT_OPEN = {"attacks", "source", "candidates"}  # where nothing is given, the gallery says


def open_or_make(run: Path, study: str, given: Mapping[str, Any]) -> Database:
    """Return a run's study, made if there is none of the name.

    Args:
        run: the run's folder.
        study: the study's name.
        given: arguments of :class:`Settings`, those that the user gave; ``consent`` is the path
            of a text.

    Raises:
        InputError: if the study was made with other settings, or cannot be made.
        FileNotFoundError: if the run, or the text, is not there.
    """
    path, wanted = study_path(run, study), _read(given)
    if path.is_file():
        database = Database(path)
        _check_same(database.settings, wanted, study)
        return database
    finished = Run.read(run)
    settings = settled(finished, Settings(**wanted))
    return create(path, settings, stimuli(finished, settings))


def study_path(run: Path, study: str) -> Path:
    """Return where a study's file lies.

    Raises:
        InputError: if the name is none, or the run's folder is missing.
    """
    if not re.fullmatch(r"[\w-]{1,64}", study):
        raise InputError(
            f"a study's name has at most 64 letters, digits, _ and -, got {study!r}. Give another "
            "--study."
        )
    if not run.is_dir():
        raise InputError(f"a study lies in the folder of a run, there is no folder {run}.")
    return run / f"{study}{SUFFIX}"


def _read(given: Mapping[str, Any]) -> dict[str, Any]:
    wanted = dict(given)
    if "attacks" in wanted:
        wanted["attacks"] = tuple(wanted["attacks"])
    if "consent" in wanted:
        wanted["consent"] = _text(wanted["consent"])
    return wanted


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = f"--consent is the path of a text in UTF-8, got {path}: {error}. Save it as such."
        raise InputError(told) from error


def _check_same(settings: Settings, wanted: Mapping[str, Any], study: str) -> None:
    for name, value in wanted.items():
        left_open = name in _LEFT_OPEN and not value
        if not left_open and (made := getattr(settings, name)) != value:
            raise InputError(
                f"a study keeps its settings, {study!r} was made with {name} {made!r}, got "
                f"{value!r}. Leave it out, or give the new study a name with --study."
            )

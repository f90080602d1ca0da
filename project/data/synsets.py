"""Photos whose classes are WordNet ids: ImageNet's order of them, and tables of photos and ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from project.core.errors import InputError
from project.data.files import LabelledFile
from project.data.lists import Line, read_list
from project.data.pairing import photos_in

_SHOWN = 3  # names that a message tells


@cache
def imagenet_synsets() -> Mapping[str, str]:
    """Return the names of ImageNet's 1000 classes by WordNet id, in the order of their numbers."""
    from timm.data.imagenet_info import ImageNetInfo  # noqa: PLC0415 - a large import that few data sets need

    info: Any = ImageNetInfo()
    names = {name: info.label_name_to_description(name) for name in info.label_names()}
    often = Counter(names.values())
    # Two classes are called crane.
    return {
        synset: name if often[name] == 1 else f"{name} ({synset})" for synset, name in names.items()
    }


def in_class_folders(
    root: Path, place: str, folders: Iterable[str], numbers: Mapping[str, int]
) -> list[LabelledFile]:
    """List photos that lie in a folder of their class.

    Args:
        root: the data set's folder.
        place: the folder in it that holds the classes' folders.
        folders: the names of those folders.
        numbers: the numbers of classes by WordNet id.

    Raises:
        InputError: naming folders that are no class.
    """
    names = list(folders)
    strange = [name for name in names if name not in numbers]
    if strange:
        raise InputError(
            f"{root / place} must hold folders called by WordNet ids of its {len(numbers)} "
            f"classes, got {few(strange)}. Remove or rename them."
        )
    return [
        LabelledFile(file, str(numbers[name]))
        for name in names
        for file in photos_in(root, f"{place}/{name}")
    ]


def in_a_table(
    root: Path, place: str, table: Path, lines: Sequence[Line], numbers: Mapping[str, int]
) -> list[LabelledFile]:
    """List photos of one folder, whose classes a table names: a photo and a WordNet id per line.

    Args:
        root: the data set's folder.
        place: the folder in it that holds the photos.
        table: the table's path, for messages.
        lines: its lines; what stands behind the id does not count.
        numbers: the numbers of classes by WordNet id.

    Raises:
        InputError: naming the line that is malformed or names no class, photos that are in no line
            and lines without a photo.
    """
    classes: dict[str, tuple[str, str]] = {}
    for line in lines:
        parts = line.entry.replace(",", " ").split()
        if len(parts) < 2 or parts[1] not in numbers:
            raise InputError(
                f"{line.source}: must be a photo and the WordNet id of its class, one of "
                f"{len(numbers)}, got {line.entry!r}."
            )
        stem = PurePosixPath(parts[0]).stem
        known = classes.setdefault(stem, (parts[1], line.source))
        if known[0] != parts[1]:
            raise InputError(
                f"{line.source}: {parts[0]} has the class {parts[1]}, and {known[0]} in {known[1]}."
            )
    return labelled(root, place, table, {stem: numbers[c[0]] for stem, c in classes.items()})


def labelled(root: Path, place: str, table: Path, numbers: Mapping[str, int]) -> list[LabelledFile]:
    """Give the photos of one folder the classes that a table has for their stems.

    A subset of a table's photos is allowed, since many evaluate on a part.

    Raises:
        InputError: naming photos that the table does not have; if there is no photo.
    """
    photos = photos_in(root, place)
    if not photos:
        raise InputError(f"{root / place} must hold photos, got none. Check --data.root.")
    strange = [photo for photo in photos if PurePosixPath(photo).stem not in numbers]
    if strange:
        raise InputError(
            f"{table} must have the class of each photo in {root / place}, but has none of "
            f"{few([PurePosixPath(photo).name for photo in strange])}."
        )
    return [
        LabelledFile(photo, str(numbers[PurePosixPath(photo).stem]), table.name) for photo in photos
    ]


def read_synsets(path: Path) -> dict[str, str]:
    """Return the WordNet ids of a list, in its order, each with the words behind it.

    Raises:
        InputError: naming the file and line of an id that is there twice.
    """
    found: dict[str, str] = {}
    lines, _ = read_list(path)
    for line in lines:
        synset, _, words = line.entry.replace("\t", " ").partition(" ")
        if synset in found:
            raise InputError(f"{line.source}: {synset} is there twice. Remove one of the lines.")
        found[synset] = words.strip()
    return found


def few(names: Collection[str]) -> str:
    """Return the first of many names, and how many more there are."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join([*names][:_SHOWN]) + more

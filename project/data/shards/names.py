"""Which shards a pattern names: braces, stars, folders."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from project.core.errors import InputError
from project.core.folders import files_below
from project.data.decoding import Reading
from project.data.file_set import require_inside

SUFFIXES = (".tar", ".parquet")
"""The kinds of shards, by the ends of their names."""

_COMPRESSED = re.compile(r"\.(tgz|tbz2?|txz|tar\.\w+)$")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})")
_MOST = 10**6  # shards of one pattern
_SHOWN = 3  # shards that a message names
_OPTION = "--data.shards"


def find_shards(root: Path, patterns: Sequence[str], reading: Reading) -> list[str]:
    """Return the shards that patterns name, each once, sorted.

    Args:
        root: folder that they are relative to.
        patterns: of paths, in which braces hold a range, ``{000..146}``, or a list, ``{a,b}``, and
            ``*`` and ``?`` stand for any characters of a name. A folder stands for all shards
            below it.
        reading: whether they may lie outside of the root.

    Raises:
        InputError: naming a pattern that means nothing, shards that are missing, or that are of
            two kinds.
    """
    found = dict.fromkeys(shard for one in patterns for shard in _matches(root, one, reading))
    kinds = {PurePosixPath(shard).suffix.lower(): shard for shard in found}
    if len(kinds) > 1:
        told = " and ".join(sorted(kinds.values()))
        raise InputError(
            f"shards of a data set must be of one kind, got {told}. "
            f"Name those of one kind: {_OPTION} '*.tar' or '*.parquet'"
        )
    return sorted(found)


def _matches(root: Path, pattern: str, reading: Reading) -> list[str]:
    names = expanded(pattern)
    for name in names:
        require_inside(name, reading, _OPTION)
    found = {name: _shards_of(root, name) for name in names}
    missing = [name for name, shards in found.items() if not shards]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        told = f"{len(names)} shards, of which {len(missing)} are" if len(names) > 1 else "what is"
        raise InputError(
            f"{_OPTION} {pattern!r} names {told} not in {root}: {', '.join(missing[:_SHOWN])}"
            f"{more}. Fetch what is missing, or write the pattern of what is there."
        )
    shards = [shard for some in found.values() for shard in some]
    for shard in shards:
        _check_suffix(shard)
    return shards


def _shards_of(root: Path, name: str) -> list[str]:
    """Return the shards that a name without braces means."""
    place = root / name
    if place.is_dir():
        return [(PurePosixPath(name) / file).as_posix() for file in files_below(place, SUFFIXES)]
    if place.is_file():
        return [PurePosixPath(name).as_posix()]
    if not re.search(r"[*?\[]", name):
        return []
    folder, _, inside = name.rpartition("/")
    if re.search(r"[*?\[]", folder) or "**" in inside:
        raise InputError(
            f"{_OPTION}: '*' and '?' must stand in the name of a shard, not of a folder, got "
            f"{name!r}. Name the folder alone for all shards below it."
        )
    found = sorted((root / folder).glob(inside)) if (root / folder).is_dir() else []
    return [(PurePosixPath(folder) / path.name).as_posix() for path in found if path.is_file()]


def _check_suffix(shard: str) -> None:
    if _COMPRESSED.search(shard.lower()):
        raise InputError(
            f"shards must be tars that are not compressed, since others can be read from their "
            f"start only, got {shard}. Unpack it (photos are compressed already): gunzip {shard}"
        )
    if not shard.lower().endswith(SUFFIXES):
        raise InputError(
            f"shards must be called .tar or .parquet, got {shard}. Correct {_OPTION}, such as "
            "'train-{000000..000146}.tar'."
        )


def expanded(pattern: str) -> list[str]:
    """Return the names that a pattern's braces stand for, in their order.

    A range keeps the zeros that it is written with; the last brace runs fastest, as in a shell.

    Raises:
        InputError: if a brace is not closed, holds neither a range nor a list, or too many.
    """
    parts = _BRACES.split(pattern)
    if any(brace in text for text in parts[::2] for brace in "{}"):
        raise InputError(f"{_OPTION}: each brace must be closed, and none in another: {pattern!r}.")
    choices = [[part] if k % 2 == 0 else _choices(part, pattern) for k, part in enumerate(parts)]
    count = 1
    for some in choices:
        count *= len(some)
    if count > _MOST:
        raise InputError(f"{_OPTION} {pattern!r} names {count} shards, more than {_MOST}.")
    return ["".join(some) for some in itertools.product(*choices)]


def _choices(inside: str, pattern: str) -> list[str]:
    if "," in inside:
        return inside.split(",")
    found = _RANGE.fullmatch(inside)
    if found is None or int(found[1]) > int(found[2]):
        raise InputError(
            f"{_OPTION}: braces must hold a range such as {{000000..000146}}, or a list such as "
            f"{{a,b}}, got {{{inside}}} in {pattern!r}."
        )
    padded = any(end.startswith("0") and len(end) > 1 for end in found.groups())
    width = max(map(len, found.groups())) if padded else 0
    if int(found[2]) - int(found[1]) >= _MOST:
        raise InputError(f"{_OPTION} {pattern!r} names more than {_MOST} shards.")
    return [f"{number:0{width}d}" for number in range(int(found[1]), int(found[2]) + 1)]
